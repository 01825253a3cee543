"""Decides what to do for one IpfsBackend: children, status, finalizer, and pins that nobody wants any more."""

from collections.abc import Iterator

from ...api.ipfsbackend import IpfsBackend, IpfsBackendStatus
from ...conditions import ConditionType, Reason, Stalled, condition, summarise
from ...resources.kinds import Object
from ...resources.names import BACKEND_FINALIZER
from ..drift import covers
from ..pending import Pending
from ..plan import Plan
from ..refused_children import Refused, refused_children, without_refused
from .children import adoptable_children, pending_children
from .health import build_conditions
from .observed import ObservedBackend

WAITING = 5.0  # seconds between two looks while a pod is on its way
_NAMED_USERS = 10  # in a message


def decide(seen: ObservedBackend) -> Plan:
    """Return the plan. Pure and total."""
    if seen.backend is None:
        return _invalid(seen)
    if seen.backend.deleting and not seen.blocked_by:
        return Plan(finalizers=_without_ours(seen.obj))
    # What is being deleted gets no children again, but keeps serving while others need it.
    managed = seen.backend.spec.managed is not None and not seen.backend.deleting
    children = pending_children(seen, seen.backend) if managed else Pending()
    refused = refused_children(seen.refused, children)
    now = without_refused(children, refused)
    return Plan(
        unpin=_removable(seen),
        finalizers=None if seen.backend.deleting else _with_ours(seen.obj),
        status=_changed(seen.obj, _status(seen, seen.backend, children, refused)),
        create=now.create,
        apply=now.apply,
        adopt=adoptable_children(seen, now.apply),
        delete=now.delete,
        after=max(0.5, min(seen.next_check, WAITING) if _waits(seen, seen.backend) else seen.next_check),
    )


def _waits(seen: ObservedBackend, backend: IpfsBackend) -> bool:
    """Return whether a pod of ours is on its way: what is wrong with it may stand in events alone, which wake nobody."""
    return backend.spec.managed is not None and seen.health is None and not backend.deleting and not seen.taken


def _status(seen: ObservedBackend, backend: IpfsBackend, children: Pending, refused: Refused) -> Object:
    generation = backend.metadata.generation
    conditions = build_conditions(seen, backend, children, refused)
    if backend.deleting:
        blocked = condition(ConditionType.DELETION_BLOCKED, True, Reason.IN_USE, _used_by(seen), generation=generation)
        conditions = (*conditions, blocked)
    check = seen.health.check if seen.health else None
    return IpfsBackendStatus(
        observed_generation=generation,
        conditions=conditions,
        # What the daemon said last stays while it does not answer.
        version=(check and check.version) or backend.status.version,
        peer_id=(check and check.peer_id) or backend.status.peer_id,
        bound_models=len(seen.users),
        mutated_children=seen.admission.to_status(children.mutated, children.apply),
    ).to_object()


def _invalid(seen: ObservedBackend) -> Plan:
    """Stop at an object that this operator cannot read; one that is being deleted must still be able to go."""
    if "deletionTimestamp" in seen.obj["metadata"] and not seen.blocked_by:
        return Plan(finalizers=_without_ours(seen.obj))
    generation = seen.obj["metadata"].get("generation", 1)
    ready = condition(ConditionType.READY, False, Reason.FAILED, seen.problem, generation=generation)
    conditions = summarise(ready, Stalled(Reason.INVALID_SPEC, seen.problem))
    status = IpfsBackendStatus(observed_generation=generation, conditions=conditions, bound_models=len(seen.users))
    return Plan(status=_changed(seen.obj, status.to_object()))


def _removable(seen: ObservedBackend) -> tuple[str, ...]:
    """Return the pins to take away: none while a user is on its way, for its pods may have pinned what no status names yet.

    Only of a daemon that is ours: in somebody else's, a pin without a name may be anybody's.
    """
    if seen.backend is None or seen.backend.spec.managed is None:
        return ()
    if seen.health is None or not seen.health.check.healthy or not all(user.settled for user in seen.users):
        return ()
    return tuple(sorted(cid for cid, seconds in seen.unwanted.items() if seconds >= seen.grace))


def _used_by(seen: ObservedBackend) -> str:
    names = [user.name for user in seen.blocked_by]
    more = f" and {len(names) - _NAMED_USERS} more" if len(names) > _NAMED_USERS else ""
    return f"used by ModelDeployment {', '.join(names[:_NAMED_USERS])}{more}: delete them, or let them name other backends"


def _changed(obj: Object, status: Object) -> Object | None:
    """Return the status if the object does not say so already; times aside."""
    current = obj.get("status", {})
    same = covers(current, status) and set(_types(current)) == set(_types(status)) and current.keys() == status.keys()
    return None if same else status


def _types(status: Object) -> Iterator[str]:
    return (one["type"] for one in status.get("conditions", ()))


def _with_ours(obj: Object) -> tuple[str, ...] | None:
    finalizers = tuple(obj["metadata"].get("finalizers", ()))
    return None if BACKEND_FINALIZER in finalizers else (*finalizers, BACKEND_FINALIZER)


def _without_ours(obj: Object) -> tuple[str, ...] | None:
    finalizers = tuple(obj["metadata"].get("finalizers", ()))
    return tuple(name for name in finalizers if name != BACKEND_FINALIZER) if BACKEND_FINALIZER in finalizers else None
