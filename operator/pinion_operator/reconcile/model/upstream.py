"""Where the branch is by now, against what is served: followed, or told."""

import re
from typing import TypeGuard

from ...api.base import Condition
from ...api.source import HuggingFaceSource
from ...conditions import ConditionType, Reason, condition, find
from .idle import idle_reason
from .observed import Observed
from .revision import Revision
from .revision_state import RevisionState
from .scope import Scope
from .source import SourceFacts

_COMMIT = re.compile("[0-9a-fA-F]{40}", re.ASCII)


def can_move(source: HuggingFaceSource | None) -> TypeGuard[HuggingFaceSource]:
    """Return whether the revision may lead to another commit one day; None: it is named by its CID."""
    return source is not None and _COMMIT.fullmatch(source.revision) is None


def follow(seen: Observed, scope: Scope, revision: Revision) -> SourceFacts | None:
    """Return what to serve instead of the revision because its branch has moved; None: the same bytes, or none are followed."""
    source, upstream = scope.model.spec.model.source.hugging_face, seen.upstream
    if not can_move(source) or source.revision_policy != "Track" or upstream is None or idle_reason(scope.model):
        return None
    if scope.refused:  # it would take another revision
        return None
    if upstream.unsupported:  # what serves goes on: told by SourceDrifted
        return None
    return upstream if upstream.source_digest != revision.source.source_digest else None


def upstream_commit(state: RevisionState) -> str:
    """Return the commit that the branch led to when the hub was asked last, as far as anybody remembers."""
    told = state.model.status.model
    if not can_move(state.model.spec.model.source.hugging_face):
        return ""
    if state.seen.upstream:
        return state.seen.upstream.commit
    return told.upstream_commit if told and state.is_told else ""


def build_source_drifted(state: RevisionState) -> Condition | None:
    """Return SourceDrifted, Unknown while we do not ask; None for what cannot move, and while nobody has asked again."""
    source, generation, upstream = state.model.spec.model.source.hugging_face, state.generation, state.seen.upstream
    type_ = ConditionType.SOURCE_DRIFTED
    if not can_move(source):
        return None
    if unasked := state.seen.unasked:
        message = f"nobody asks where {source.repo} at {source.revision} leads by now: {unasked.message}"
        return condition(type_, None, unasked.reason, message, generation=generation)
    if upstream is None:  # what was said last stands
        before = find(state.model.status.conditions, type_) if state.is_told else None
        return before and before.model_copy(update={"observed_generation": generation, "last_transition_time": None})
    where = f"{source.repo} at {source.revision} is commit {upstream.commit}"
    served = state.revision.source.commit
    if upstream.source_digest == state.revision.source.source_digest:
        same = "" if upstream.commit == served else f", with the same files as {served}, which is served"
        return condition(type_, False, Reason.UP_TO_DATE, where + same, generation=generation)
    message = f"{where} by now, with other files than {served}, which is served; revisionPolicy is {source.revision_policy}"
    if upstream.unsupported:
        message += f", and they can't be: {upstream.unsupported}"
    if state.scope.refused and source.revision_policy == "Track":
        message += f", and no revision can be made: {state.scope.refused}"
    return condition(type_, True, Reason.UPSTREAM_MOVED, message, generation=generation)
