"""ModelDeployment: what was observed -> what to do. No clock, no I/O, no logging."""

from dataclasses import replace

from ..api.base import Condition
from ..api.modeldeployment import ModelDeployment
from ..api.modeldeployment_status import Phase
from ..conditions import ConditionType, Reason, Reconciling, condition, find
from ..resources.kinds import Object, Ref, ref_of
from .artifact import known_artifact
from .aspects import aspects, idle_reason
from .backends import Choice, choose_backends, explain_wait
from .children import pending_children, replicas_now, stale_children, wanted_replicas
from .inputs import inputs_hash, revision_name, source_hash
from .observed import Observed, SourceFacts, Unresolved
from .plan import Plan
from .revision import Revision, cache_limit_bytes, find_revision, find_source, render_revision, revisions_of
from .status import early_status, full_status, invalid_status, to_write
from .verdict import AT_REST, SOON, Verdict, judge, stalled
from .workload import Workload, measure

NAME_AGAIN = 30.0  # seconds: somebody may give a name up, and no event of ours would tell
ASKING_AGAIN = 30.0  # seconds: the answer itself wakes us; this is for one that gets lost


def needs_source(seen: Observed) -> bool:
    """Return whether the decision needs the hub's answer."""
    if seen.model is None or seen.model.deleting or idle_reason(seen.model):
        return False
    choice, revisions = choose_backends(seen.model.spec, seen.backends), revisions_of(seen.children.values())
    return find_revision(seen.model, choice, revisions) is None and find_source(seen.model, revisions) is None


def decide_model_deployment(seen: Observed) -> Plan:
    """Return what to do now."""
    if "deletionTimestamp" in seen.obj["metadata"]:
        return Plan()  # the garbage collector takes the children: none is made or changed any more
    model = seen.model
    if model is None:
        return _decide_invalid(seen)
    revisions = revisions_of(seen.children.values())
    choice = choose_backends(model.spec, seen.backends)
    revision = find_revision(model, choice, revisions)
    if seen.taken:
        return _early(seen, model, _name_taken(seen.taken), revisions)
    if revision is None and idle_reason(model):  # nothing is asked and nothing made for pods that nobody wants
        if not revisions:
            return _early(seen, model, _nothing_wanted(model), revisions)
        revision = revisions[0]
    if revision is not None:
        return _decide_revision(seen, model, revision, revisions)
    return _decide_source(seen, model, choice, revisions)


def _decide_source(seen: Observed, model: ModelDeployment, choice: Choice, revisions: tuple[Revision, ...]) -> Plan:
    """Nothing answers these inputs yet: learn the commit, see that it fits and has where to go, then make the revision."""
    source = find_source(model, revisions) or seen.resolution
    if isinstance(source, Unresolved):
        return _unresolved(seen, model, source, revisions)
    if not isinstance(source, SourceFacts):
        if _is_asked_again(model):  # the last answer stands until there is another
            return Plan(after=ASKING_AGAIN)
        hub = model.spec.model.source.hugging_face
        message = f"asking for the commit of {hub.repo} at {hub.revision}, and its files"
        return _early(seen, model, _waiting(Reason.RESOLVING, message, "Resolving", ASKING_AGAIN), revisions)
    resolved = _resolved(model, source)
    limit = cache_limit_bytes(model)
    if limit is not None and limit < source.total_bytes:
        message = (
            f"the model needs {source.total_bytes} bytes, spec.storage.cache.sizeLimit is {limit} bytes "
            f"({model.spec.storage.cache.size_limit}): nothing was downloaded"
        )
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.INSUFFICIENT_STORAGE, message)
        return _early(seen, model, stalled(Reason.INSUFFICIENT_STORAGE, message, None), revisions, resolved, pinned)
    if not choice.can_start:
        message = explain_wait(choice, seen.backends)
        verdict = Verdict(
            False, Reason.DEPENDENCY_NOT_READY, message, Reconciling(Reason.PROGRESSING, message), "Pending", AT_REST
        )
        pinned = _condition(model, ConditionType.ARTIFACT_PINNED, Reason.BACKEND_UNAVAILABLE, message)
        return _early(seen, model, verdict, revisions, resolved, pinned)
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
    name = revision_name(model.spec, source.source_digest, namespace_backends=choice.from_namespace)
    verdict = _waiting(Reason.PROGRESSING, f"revision {name} is being made", "Pending", SOON)
    plan = _early(seen, model, verdict, revisions, resolved)
    known = next((revision for revision in revisions if revision.name == name), None)
    if known:  # the same bytes under another branch or commit: only what led here is new
        inputs = inputs_hash(model.spec, namespace_backends=choice.from_namespace)
        again = replace(known, inputs=inputs, asked=source_hash(model.spec))
        return replace(plan, apply=(again.to_object(seen.obj),))
    number = 1 + max((revision.number for revision in revisions), default=0)
    return replace(plan, create=(render_revision(seen, model, choice, source, number).to_object(seen.obj),))


def _decide_revision(seen: Observed, model: ModelDeployment, revision: Revision, revisions: tuple[Revision, ...]) -> Plan:
    """A revision answers the inputs: keep its children right and say what they really do."""
    artifact = known_artifact(seen, model, revision)
    pending = pending_children(seen, model, revision, artifact, replicas_now(seen, model, artifact))
    workload: Workload = measure(seen, model, revision, artifact, wanted_replicas(model))
    verdict = judge(model, revision, artifact, workload, pending)
    stale = stale_children(seen, revision, revisions) if verdict.ready and verdict.state is None else ()
    kept = tuple(known for known in revisions if known.to_object(seen.obj)["metadata"]["name"] not in _names(stale))
    status = full_status(seen, model, verdict, aspects(model, revision, artifact, workload), revision, artifact, workload, kept)
    return Plan(
        status=to_write(status, model.status),
        apply=pending.apply,
        delete=tuple(ref_of(child) for child in stale),
        after=verdict.after,
    )


def _decide_invalid(seen: Observed) -> Plan:
    """The CRD in the cluster lets through what this operator cannot read: an operator older or newer than the CRD."""
    verdict = stalled(Reason.INVALID_SPEC, seen.problem, None)
    generation = seen.obj["metadata"]["generation"]
    ready = condition(ConditionType.READY, False, verdict.reason, verdict.message, generation=generation)
    status, before = invalid_status(seen.obj, seen.problem, verdict, ready), seen.obj.get("status", {})
    return Plan(status=None if _without_times(before) == _without_times(status) else status)


def _unresolved(seen: Observed, model: ModelDeployment, source: Unresolved, revisions: tuple[Revision, ...]) -> Plan:
    resolved = _condition(model, ConditionType.SOURCE_RESOLVED, source.reason, source.message)
    if source.final:
        verdict = stalled(source.reason, source.message, source.again_in)
    else:
        state = Reconciling(Reason.PROGRESSING_WITH_RETRY, source.message)
        verdict = Verdict(None, Reason.PROGRESSING, source.message, state, "Resolving", source.again_in)
    return _early(seen, model, verdict, revisions, resolved)


def _early(
    seen: Observed, model: ModelDeployment, verdict: Verdict, revisions: tuple[Revision, ...], *others: Condition
) -> Plan:
    status = early_status(seen, model, verdict, others, revisions)
    return Plan(status=to_write(status, model.status), after=verdict.after)


def _waiting(reason: Reason, message: str, phase: Phase, after: float) -> Verdict:
    return Verdict(None, Reason.PROGRESSING, message, Reconciling(reason, message), phase, after)


def _nothing_wanted(model: ModelDeployment) -> Verdict:
    reason = idle_reason(model) or Reason.SUSPENDED
    return Verdict(True, reason, "no pods, as asked for", None, "Suspended" if model.spec.suspend else "Ready", None)


def _name_taken(taken: frozenset[Ref]) -> Verdict:
    names = ", ".join(sorted(f"{ref.kind.name} {ref.name}" for ref in taken))
    return stalled(Reason.NAME_TAKEN, f"{names} exists already and belongs to somebody else: it is left alone", NAME_AGAIN)


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


def _names(objects: tuple[Object, ...]) -> set[str]:
    return {obj["metadata"]["name"] for obj in objects}


def _without_times(status: Object) -> Object:
    conditions = [
        {name: value for name, value in condition.items() if name != "lastTransitionTime"}
        for condition in status.get("conditions", ())
    ]
    return {**status, "conditions": sorted(conditions, key=lambda condition: str(condition["type"]))}
