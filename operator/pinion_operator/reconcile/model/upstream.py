"""Where the branch is by now, against what is served: followed, or told."""

import re

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...api.source import HuggingFaceSource
from ...conditions import ConditionType, Reason, condition, find
from .observed import Observed, SourceFacts
from .revision import Revision

_COMMIT = re.compile("[0-9a-fA-F]{40}", re.ASCII)


def can_move(source: HuggingFaceSource) -> bool:
    """Return whether the revision may lead to another commit one day."""
    return _COMMIT.fullmatch(source.revision) is None


def follow(seen: Observed, model: ModelDeployment, revision: Revision) -> SourceFacts | None:
    """Return what to serve instead of the revision because its branch has moved; None: the same bytes, or none are followed."""
    source, upstream = model.spec.model.source.hugging_face, seen.upstream
    nobody_waits = model.spec.suspend or model.spec.replicas == 0
    if source.revision_policy != "Track" or not can_move(source) or upstream is None or nobody_waits:
        return None
    return upstream if upstream.source_digest != revision.source.source_digest else None


def upstream_commit(seen: Observed, model: ModelDeployment, revision: Revision) -> str:
    """Return the commit that the branch led to when the hub was asked last, as far as anybody remembers."""
    if not can_move(model.spec.model.source.hugging_face):
        return ""
    if seen.upstream:
        return seen.upstream.commit
    return model.status.model.upstream_commit if model.status.model and _is_same(model, revision) else ""


def build_source_drifted(seen: Observed, model: ModelDeployment, revision: Revision) -> Condition | None:
    """Return SourceDrifted; None for what cannot move, and while the hub has not been asked again."""
    source, generation = model.spec.model.source.hugging_face, model.metadata.generation
    type_ = ConditionType.SOURCE_DRIFTED
    if not can_move(source):
        return None
    if seen.upstream is None:  # what was said last stands
        before = find(model.status.conditions, type_) if _is_same(model, revision) else None
        return before and before.model_copy(update={"observed_generation": generation, "last_transition_time": None})
    where = f"{source.repo} at {source.revision} is commit {seen.upstream.commit}"
    served = revision.source.commit
    if seen.upstream.source_digest == revision.source.source_digest:
        same = "" if seen.upstream.commit == served else f", with the same files as {served}, which is served"
        return condition(type_, False, Reason.UP_TO_DATE, where + same, generation=generation)
    message = f"{where} by now, with other files than {served}, which is served; revisionPolicy is {source.revision_policy}"
    return condition(type_, True, Reason.UPSTREAM_MOVED, message, generation=generation)


def _is_same(model: ModelDeployment, revision: Revision) -> bool:
    return model.status.model is not None and model.status.model.revision == revision.name
