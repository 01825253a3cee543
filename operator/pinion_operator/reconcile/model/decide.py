"""ModelDeployment: what was observed -> what to do. No clock, no I/O, no logging."""

from dataclasses import replace

from ...api.modeldeployment import ModelDeployment
from ...conditions import ConditionType, Reason, condition
from ...resources.kinds import CONFIGMAP, POD, Object, Ref, ref_of
from ...resources.model_names import live_name
from ...resources.names import LIVE_ANNOTATION
from ..orphans import explain_taken
from ..plan import Plan
from ..refused_children import is_refused, without_refused
from .annotations import is_paused
from .children import adoptable_children, stale_children
from .condition_builders import build_conditions
from .idle import idle_reason
from .live import pods_to_tell
from .observed import Observed
from .readiness import SOON, Readiness, decide_readiness, stalled
from .revision_state import RevisionState, build_revision_state
from .scope import Scope
from .sourcing import decide_facts, decide_source, early_plan, waiting
from .status import full_status, invalid_status, to_write
from .upstream import follow

NAME_AGAIN = 30.0  # seconds: somebody may give a name up, and no event of ours would tell


def decide_model_deployment(seen: Observed) -> Plan:
    """Return what to do now."""
    meta, scope = seen.obj["metadata"], seen.scope
    if "deletionTimestamp" in meta:
        return Plan()  # the garbage collector takes the children: none is made or changed any more
    if is_paused(meta.get("annotations")):
        return Plan()  # not even the status: it would be that of an object that nobody looks after
    if scope is None:
        return _decide_invalid(seen)
    if seen.taken:
        return early_plan(seen, scope, _name_taken(seen.taken))
    if scope.orphans:
        return _adopt_revisions(seen, scope)
    revision = scope.current
    if revision is None and idle_reason(scope.model):  # nothing is asked and nothing made for pods that nobody wants
        if not scope.revisions:
            return early_plan(seen, scope, _nothing_wanted(scope.model))
        revision = scope.revisions[0]
    if revision is None and scope.refused:
        return early_plan(seen, scope, stalled(Reason.INVALID_SPEC, scope.refused, None))
    if revision is None:
        return decide_source(seen, scope)
    if source := follow(seen, scope, revision):
        return decide_facts(seen, scope, source)
    return _decide_revision(build_revision_state(seen, scope, revision))


def _adopt_revisions(seen: Observed, scope: Scope) -> Plan:
    """A predecessor has left what it knew: take it over first, so that nothing is asked, rendered or fetched again."""
    message = f"revisions that a deleted ModelDeployment {scope.model.metadata.name} has left are being taken over"
    plan = early_plan(seen, scope, waiting(Reason.PROGRESSING, message, "Pending", SOON))
    revisions = tuple(revision.to_object(seen.obj) for revision in scope.orphans)
    return replace(plan, apply=revisions, adopt=frozenset(map(ref_of, revisions)))


def _decide_revision(state: RevisionState) -> Plan:
    """A revision answers the inputs: keep its children right and say what they really do."""
    seen, scope, pending = state.seen, state.scope, state.pending
    now = without_refused(pending, state.refused)
    readiness = decide_readiness(state)
    stale = stale_children(seen, scope, state.revision) if readiness.ready and readiness.state is None else ()
    kept = tuple(known for known in scope.revisions if known.to_object(seen.obj)["metadata"]["name"] not in _names(stale))
    status = full_status(state, readiness, build_conditions(state), kept)
    return Plan(
        status=to_write(status, scope.model.status),
        replace=now.replace,
        create=now.create,
        apply=(*_made_current(state), *now.apply, *state.budget.apply),
        adopt=adoptable_children(seen, scope, (*now.apply, *state.budget.apply)),
        annotate=_annotations(state),
        delete=(*pending.delete, *state.budget.delete, *(ref_of(child) for child in stale)),
        after=readiness.after,
    )


def _annotations(state: RevisionState) -> dict[Ref, dict[str, str]]:
    """Return what makes kubelets bring live.json at once, where a pod has read another; only once it is there to be brought."""
    namespace, name = state.model.metadata.namespace, state.model.metadata.name
    live = state.seen.children.get(Ref(CONFIGMAP, namespace, live_name(name, state.revision.name)))
    if live is None or any(ref_of(child) == ref_of(live) for child in state.pending.apply):
        return {}
    told = pods_to_tell(state.seen, state.revision, live)
    return {Ref(POD, namespace, pod): {LIVE_ANNOTATION: mark} for pod, mark in told.items()}


def _made_current(state: RevisionState) -> tuple[Object, ...]:
    """Return the ControllerRevision where it does not say yet that it is the current one: after going back, for one."""
    seen, wanted = state.seen, state.record
    there = seen.admission.accepts(seen.children.get(ref_of(wanted)), wanted)
    return () if there or idle_reason(state.model) or is_refused(seen.refused, wanted) else (wanted,)


def _decide_invalid(seen: Observed) -> Plan:
    """The CRD in the cluster lets through what this operator cannot read: an operator older or newer than the CRD."""
    readiness = stalled(Reason.INVALID_SPEC, seen.problem, None)
    generation = seen.obj["metadata"]["generation"]
    ready = condition(ConditionType.READY, False, readiness.reason, readiness.message, generation=generation)
    status, before = invalid_status(seen.obj, seen.problem, readiness, ready), seen.obj.get("status", {})
    return Plan(status=None if _without_times(before) == _without_times(status) else status)


def _nothing_wanted(model: ModelDeployment) -> Readiness:
    reason = idle_reason(model) or Reason.SUSPENDED
    return Readiness(True, reason, "no pods, as asked for", None, "Suspended" if model.spec.suspend else "Ready", None)


def _name_taken(taken: frozenset[Ref]) -> Readiness:
    return stalled(Reason.NAME_TAKEN, explain_taken(taken), NAME_AGAIN)


def _names(objects: tuple[Object, ...]) -> set[str]:
    return {obj["metadata"]["name"] for obj in objects}


def _without_times(status: Object) -> Object:
    conditions = [
        {name: value for name, value in condition.items() if name != "lastTransitionTime"}
        for condition in status.get("conditions", ())
    ]
    return {**status, "conditions": sorted(conditions, key=lambda condition: str(condition["type"]))}
