"""What an IpfsBackend has to know of the ModelDeployments that use it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...conditions import ConditionType
from ...resources.kinds import Object
from ...resources.names import DEPLOYMENT_LABEL, REVISION_LABEL
from ..rendered import backend_order


@dataclass(frozen=True)
class User:
    """A ModelDeployment that uses a backend."""

    name: str
    wanted: frozenset[str]  # CIDs that must stay pinned: of the model and its manifest, of retained revisions too
    settled: bool  # its pods pin nothing that its status does not name yet
    blocks: bool = True  # the backend cannot go while it is there


@dataclass(frozen=True)
class Rendered:
    """Which ModelDeployments were rendered with a backend."""

    current: frozenset[str] = frozenset()  # uids of those whose revision that was current last was
    running: frozenset[str] = frozenset()  # uids of those that have pods of a revision that was


def rendered_with(backend: str, revisions: Iterable[Object], pods: Iterable[Object]) -> Rendered:
    """Return who was rendered with the backend, by the ControllerRevisions and pods of the namespace."""
    newest: dict[str, tuple[int, bool]] = {}  # by uid of the ModelDeployment
    made: dict[tuple[str, str], str] = {}  # uid, by name of the ModelDeployment and revision: those with the backend
    for one in revisions:
        labels = one["metadata"].get("labels", {})
        if REVISION_LABEL not in labels or DEPLOYMENT_LABEL not in labels:
            continue
        has = backend in backend_order(str(one["data"].get("config", "")))
        for owner in one["metadata"].get("ownerReferences", ()):
            newest[owner["uid"]] = max(newest.get(owner["uid"], (0, False)), (int(one["revision"]), has))
            if has:
                made[labels[DEPLOYMENT_LABEL], labels[REVISION_LABEL]] = owner["uid"]
    run = {(labels.get(DEPLOYMENT_LABEL), labels.get(REVISION_LABEL)) for labels in map(_labels, pods)}
    return Rendered(
        current=frozenset(uid for uid, (_, has) in newest.items() if has),
        running=frozenset(uid for key, uid in made.items() if key in run),
    )


def has_answered(backend: Object) -> bool:
    """Return whether there can be anything in a backend: a daemon of ours that has never answered was never used.

    Of what somebody else runs nobody knows.
    """
    return not backend.get("spec", {}).get("managed") or bool(backend.get("status", {}).get("version"))


def users_of(backend: str, deployments: Iterable[Object], rendered: Rendered) -> tuple[User, ...]:
    """Return the users among the ModelDeployments of the backend's namespace, by name; what is being deleted uses nothing.

    One that names no backend uses all of its namespace, and keeps those that it was rendered with from going. Objects are read
    raw: one that this operator's schema does not accept still wants what its status says.
    """
    users = []
    for one in deployments:
        named, uid = [ref.get("name") for ref in _refs(one)], one["metadata"].get("uid")
        blocks = backend in named or uid in rendered.running or (not named and uid in rendered.current)
        if "deletionTimestamp" not in one["metadata"] and (blocks or not named):
            users.append(replace(to_user(one), blocks=blocks))
    return tuple(sorted(users, key=lambda user: user.name))


def to_user(deployment: Object) -> User:
    """Return what a ModelDeployment wants of a backend."""
    return User(deployment["metadata"]["name"], frozenset(_cids(deployment.get("status", {}))), _is_settled(deployment))


def wanted_cids(users: Iterable[User]) -> frozenset[str]:
    """Return everything that at least one user wants pinned."""
    return frozenset().union(*(user.wanted for user in users))


def _refs(deployment: Object) -> Sequence[Any]:
    return deployment.get("spec", {}).get("storage", {}).get("backendRefs") or ()


def _labels(obj: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels", {})
    return labels


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
