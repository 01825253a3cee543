"""Decides what to do for one IpfsBackend: children, status, finalizer, and pins that nobody wants any more."""

from collections.abc import Iterator

from ...api.ipfsbackend import IpfsBackend, IpfsBackendStatus
from ...conditions import ConditionType, Reason, Stalled, condition, summarise
from ...resources.kinds import Object
from ...resources.names import BACKEND_FINALIZER
from ..drift import covers
from ..pending import Pending
from ..plan import Plan
from .children import adoptable_children, pending_children
from .health import build_conditions
from .observed import ObservedBackend

_NAMED_USERS = 10  # in a message


def decide(seen: ObservedBackend) -> Plan:
    """Return the plan. Pure and total."""
    if seen.backend is None:
        return _invalid(seen)
    if seen.backend.deleting and not seen.users:
        return Plan(finalizers=_without_ours(seen.obj))
    # What is being deleted gets no children again, but keeps serving while others need it.
    managed = seen.backend.spec.managed is not None and not seen.backend.deleting
    children = pending_children(seen, seen.backend) if managed else Pending()
    return Plan(
        unpin=_removable(seen),
        finalizers=None if seen.backend.deleting else _with_ours(seen.obj),
        status=_changed(seen.obj, _status(seen, seen.backend, children)),
        create=children.create,
        apply=children.apply,
        adopt=adoptable_children(seen, children.apply),
        delete=children.delete,
        after=max(seen.next_check, 0.5),
    )


def _status(seen: ObservedBackend, backend: IpfsBackend, children: Pending) -> Object:
    generation = backend.metadata.generation
    conditions = build_conditions(seen, backend, pending=not children.complete)
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
    ).to_object()


def _invalid(seen: ObservedBackend) -> Plan:
    """Stop at an object that this operator cannot read; one that is being deleted must still be able to go."""
    if "deletionTimestamp" in seen.obj["metadata"] and not seen.users:
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
    names = [user.name for user in seen.users]
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
