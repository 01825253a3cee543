"""ModelDeployment: what was observed -> what to do. No clock, no I/O, no logging."""

from ...api.modeldeployment import ModelDeployment
from ...conditions import ConditionType, Reason, condition
from ...resources.kinds import Object, Ref, ref_of
from ..drift import covers
from ..plan import Plan
from .annotations import is_paused
from .artifact import known_artifact
from .backends import choose_backends
from .children import pending_children, replicas_now, stale_children, wanted_replicas
from .condition_builders import build_conditions, idle_reason
from .observed import Observed
from .readiness import Readiness, decide_readiness, stalled
from .refused_children import is_refused, refused_children, without_refused
from .revision import Revision, as_current, find_revision, find_source, revisions_of
from .sourcing import decide_facts, decide_source, early_plan
from .status import full_status, invalid_status, to_write
from .upstream import follow
from .workload import Workload, measure

NAME_AGAIN = 30.0  # seconds: somebody may give a name up, and no event of ours would tell


def needs_source(seen: Observed) -> bool:
    """Return whether the decision needs the hub's answer."""
    if seen.model is None or seen.model.deleting or is_paused(seen.obj) or idle_reason(seen.model):
        return False
    revisions = revisions_of(seen.children.values())
    return current_revision(seen) is None and find_source(seen.model, revisions) is None


def current_revision(seen: Observed) -> Revision | None:
    """Return the revision that answers the wishes, if there is one."""
    if seen.model is None:
        return None
    choice = choose_backends(seen.model.spec, seen.backends, seen.backend_ages)
    return find_revision(seen.model, choice, revisions_of(seen.children.values()))


def decide_model_deployment(seen: Observed) -> Plan:
    """Return what to do now."""
    if "deletionTimestamp" in seen.obj["metadata"]:
        return Plan()  # the garbage collector takes the children: none is made or changed any more
    if is_paused(seen.obj):
        return Plan()  # not even the status: it would be that of an object that nobody looks after
    model = seen.model
    if model is None:
        return _decide_invalid(seen)
    revisions = revisions_of(seen.children.values())
    choice = choose_backends(model.spec, seen.backends, seen.backend_ages)
    revision = find_revision(model, choice, revisions)
    if seen.taken:
        return early_plan(seen, model, _name_taken(seen.taken), revisions)
    if revision is None and idle_reason(model):  # nothing is asked and nothing made for pods that nobody wants
        if not revisions:
            return early_plan(seen, model, _nothing_wanted(model), revisions)
        revision = revisions[0]
    if revision is None:
        return decide_source(seen, model, choice, revisions)
    if source := follow(seen, model, revision):
        return decide_facts(seen, model, choice, source, revisions)
    return _decide_revision(seen, model, revision, revisions)


def _decide_revision(seen: Observed, model: ModelDeployment, revision: Revision, revisions: tuple[Revision, ...]) -> Plan:
    """A revision answers the inputs: keep its children right and say what they really do."""
    artifact = known_artifact(seen, model, revision, revisions)
    pending = pending_children(seen, model, revision, artifact, replicas_now(seen, model, artifact))
    refused = refused_children(seen, pending)
    now = without_refused(pending, refused)
    workload: Workload = measure(seen, model, revision, artifact, wanted_replicas(model), refused)
    readiness = decide_readiness(model, revision, artifact, workload, pending, refused)
    stale = stale_children(seen, model, revision, revisions) if readiness.ready and readiness.state is None else ()
    kept = tuple(known for known in revisions if known.to_object(seen.obj)["metadata"]["name"] not in _names(stale))
    conditions = build_conditions(seen, model, revision, artifact, workload)
    status = full_status(seen, model, readiness, conditions, revision, artifact, workload, kept)
    return Plan(
        status=to_write(status, model.status),
        create=now.create,
        apply=(*_made_current(seen, model, revision, revisions), *now.apply),
        delete=(*pending.delete, *(ref_of(child) for child in stale)),
        after=readiness.after,
    )


def _made_current(
    seen: Observed, model: ModelDeployment, revision: Revision, revisions: tuple[Revision, ...]
) -> tuple[Object, ...]:
    """Return the ControllerRevision where it does not say yet that it is the current one: after going back, for one."""
    wanted = as_current(revision, model, revisions).to_object(seen.obj)
    there = covers(seen.children.get(ref_of(wanted)), wanted)
    return () if there or idle_reason(model) or is_refused(seen, wanted) else (wanted,)


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
    names = ", ".join(sorted(f"{ref.kind.name} {ref.name}" for ref in taken))
    return stalled(Reason.NAME_TAKEN, f"{names} exists already and belongs to somebody else: it is left alone", NAME_AGAIN)


def _names(objects: tuple[Object, ...]) -> set[str]:
    return {obj["metadata"]["name"] for obj in objects}


def _without_times(status: Object) -> Object:
    conditions = [
        {name: value for name, value in condition.items() if name != "lastTransitionTime"}
        for condition in status.get("conditions", ())
    ]
    return {**status, "conditions": sorted(conditions, key=lambda condition: str(condition["type"]))}
