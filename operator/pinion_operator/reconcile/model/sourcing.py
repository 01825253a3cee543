"""No revision answers the wishes yet: learn the commit, see that it fits and has where to go, then make a revision."""

from dataclasses import replace

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...api.modeldeployment_status import Phase
from ...conditions import ConditionType, Reason, Reconciling, condition, find
from ..plan import Plan
from .annotations import restart_wish
from .backends import Choice, explain_wait
from .inputs import inputs_hash, revision_name, source_hash
from .observed import Observed, SourceFacts, Unresolved
from .readiness import AT_REST, SOON, Readiness, stalled
from .refused_children import is_refused
from .rendering import render_revision
from .revision import Revision, as_current, cache_limit_bytes, find_source, wants_restart
from .status import early_status, to_write

ASKING_AGAIN = 30.0  # seconds: the answer itself wakes us; this is for one that gets lost


def decide_source(seen: Observed, model: ModelDeployment, choice: Choice, revisions: tuple[Revision, ...]) -> Plan:
    """Return what to do while the source of these wishes has to be learned, or has just been."""
    source = find_source(model, revisions) or seen.resolution
    if isinstance(source, Unresolved):
        return _unresolved(seen, model, source, revisions)
    if not isinstance(source, SourceFacts):
        if _is_asked_again(model):  # the last answer stands until there is another
            return Plan(after=ASKING_AGAIN)
        hub = model.spec.model.source.hugging_face
        message = f"asking for the commit of {hub.repo} at {hub.revision}, and its files"
        return early_plan(seen, model, waiting(Reason.RESOLVING, message, "Resolving", ASKING_AGAIN), revisions)
    return decide_facts(seen, model, choice, source, revisions)


def decide_facts(
    seen: Observed, model: ModelDeployment, choice: Choice, source: SourceFacts, revisions: tuple[Revision, ...]
) -> Plan:
    """Return what to do with a known source that no revision serves: see that it can be, then make the revision."""
    resolved = _resolved(model, source)
    limit = cache_limit_bytes(model)
    if limit is not None and limit < source.total_bytes:
        message = (
            f"the model needs {source.total_bytes} bytes, spec.storage.cache.sizeLimit is {limit} bytes "
            f"({model.spec.storage.cache.size_limit}): nothing was downloaded"
        )
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.INSUFFICIENT_STORAGE, message)
        return early_plan(seen, model, stalled(Reason.INSUFFICIENT_STORAGE, message, None), revisions, resolved, pinned)
    if not choice.can_start:
        message = explain_wait(choice, seen.backends)
        state = Reconciling(Reason.PROGRESSING, message)
        readiness = Readiness(
            False, Reason.DEPENDENCY_NOT_READY, message, state, "Pending", choice.patience if choice.patience > 0 else AT_REST
        )
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.BACKEND_UNAVAILABLE, message)
        return early_plan(seen, model, readiness, revisions, resolved, pinned)
    return _make_revision(seen, model, choice, source, revisions, resolved)


def _make_revision(
    seen: Observed,
    model: ModelDeployment,
    choice: Choice,
    source: SourceFacts,
    revisions: tuple[Revision, ...],
    resolved: Condition,
) -> Plan:
    """The status first, the ControllerRevision after it; the children follow from what the API server then shows."""
    number = 1 + max((revision.number for revision in revisions), default=0)
    # A restart is another revision of the same wishes and bytes; its number makes it one that was never there.
    restart = f"{restart_wish(model)}/{number}" if wants_restart(model, revisions) else ""
    name = revision_name(model.spec, source.source_digest, namespace_backends=choice.from_namespace, restart=restart)
    plan = early_plan(
        seen, model, waiting(Reason.PROGRESSING, f"revision {name} is being made", "Pending", SOON), revisions, resolved
    )
    known = next((revision for revision in revisions if revision.name == name), None)
    if known:  # the same bytes under another branch or commit, or bytes from before: only what led here is new
        inputs = inputs_hash(model.spec, namespace_backends=choice.from_namespace)
        again = replace(as_current(known, model, revisions), inputs=inputs, asked=source_hash(model.spec))
        if not is_refused(seen, again.to_object(seen.obj)):
            return replace(plan, apply=(again.to_object(seen.obj),))
        # Made by an operator that spelled it its own way: it can never be changed, so another one takes its place.
        name = revision_name(
            model.spec, source.source_digest, namespace_backends=choice.from_namespace, restart=f"again/{number}"
        )
    # Applied, not created: the API server compares `data` byte by byte, and only its own spelling is the same the next time.
    return replace(plan, apply=(render_revision(seen, model, choice, source, name, number).to_object(seen.obj),))


def _unresolved(seen: Observed, model: ModelDeployment, source: Unresolved, revisions: tuple[Revision, ...]) -> Plan:
    resolved = _condition(model, ConditionType.SOURCE_RESOLVED, source.reason, source.message)
    if source.final:
        readiness = stalled(source.reason, source.message, source.again_in)
    else:
        state = Reconciling(Reason.PROGRESSING_WITH_RETRY, source.message)
        readiness = Readiness(None, Reason.PROGRESSING, source.message, state, "Resolving", source.again_in)
    return early_plan(seen, model, readiness, revisions, resolved)


def early_plan(
    seen: Observed, model: ModelDeployment, readiness: Readiness, revisions: tuple[Revision, ...], *others: Condition
) -> Plan:
    """Return the plan that only says what is so far: no child is touched."""
    status = early_status(seen, model, readiness, others, revisions)
    return Plan(status=to_write(status, model.status), after=readiness.after)


def waiting(reason: Reason, message: str, phase: Phase, after: float) -> Readiness:
    """Return the readiness of what is under way."""
    return Readiness(None, Reason.PROGRESSING, message, Reconciling(reason, message), phase, after)


def _resolved(model: ModelDeployment, source: SourceFacts) -> Condition:
    hub = model.spec.model.source.hugging_face
    message = f"{hub.repo} at {hub.revision} is commit {source.commit}: {source.file_count} files, {source.total_bytes} bytes"
    return condition(ConditionType.SOURCE_RESOLVED, True, Reason.RESOLVED, message, generation=model.metadata.generation)


def _is_asked_again(model: ModelDeployment) -> bool:
    """Return whether the status already tells of an answer about this generation, and that was no."""
    before = find(model.status.conditions, ConditionType.SOURCE_RESOLVED)
    return before is not None and before.status == "False" and before.observed_generation == model.metadata.generation


def _condition(model: ModelDeployment, type_: ConditionType, reason: Reason, message: str) -> Condition:
    return condition(type_, False, reason, message, generation=model.metadata.generation)
