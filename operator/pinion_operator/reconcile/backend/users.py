"""What an IpfsBackend has to know of the ModelDeployments that use it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...conditions import ConditionType
from ...resources.kinds import Object


@dataclass(frozen=True)
class User:
    """A ModelDeployment that uses a backend."""

    name: str
    wanted: frozenset[str]  # CIDs that must stay pinned: of the model and its manifest, of retained revisions too
    settled: bool  # its pods pin nothing that its status does not name yet


def users_of(backend: str, deployments: Iterable[Object]) -> tuple[User, ...]:
    """Return the users among the ModelDeployments of the backend's namespace, by name; what is being deleted uses nothing.

    One that names no backend uses all of its namespace. Objects are read raw: one that this operator's schema does not accept
    still wants what its status says.
    """
    users = (to_user(obj) for obj in deployments if "deletionTimestamp" not in obj["metadata"] and _uses(obj, backend))
    return tuple(sorted(users, key=lambda user: user.name))


def to_user(deployment: Object) -> User:
    """Return what a ModelDeployment wants of a backend."""
    return User(deployment["metadata"]["name"], frozenset(_cids(deployment.get("status", {}))), _is_settled(deployment))


def wanted_cids(users: Iterable[User]) -> frozenset[str]:
    """Return everything that at least one user wants pinned."""
    return frozenset().union(*(user.wanted for user in users))


def _uses(deployment: Object, backend: str) -> bool:
    named: Sequence[Any] = deployment.get("spec", {}).get("storage", {}).get("backendRefs") or ()
    return not named or any(ref.get("name") == backend for ref in named)


def _cids(status: Object) -> Iterator[str]:
    for facts in (status.get("model") or {}, *(status.get("revisions") or ())):
        yield from (facts[key] for key in ("cid", "manifestCID") if facts.get(key))


def _is_settled(deployment: Object) -> bool:
    """Return whether the newest spec has been looked at and has come to an end, good or bad."""
    meta, status = deployment["metadata"], deployment.get("status", {})
    if status.get("observedGeneration") != meta.get("generation"):
        return False
    true = {condition["type"] for condition in status.get("conditions", ()) if condition["status"] == "True"}
    if ConditionType.RECONCILING in true:
        return False
    return ConditionType.READY in true or ConditionType.STALLED in true
