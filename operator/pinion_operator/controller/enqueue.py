"""Which reconciled objects an event concerns: an object itself, the owner of a child or pod, and those that read each other."""

from collections.abc import Iterator

from ..resources.kinds import CONTROLLERREVISION, IPFSBACKEND, MODELDEPLOYMENT, POD, REPLICASET, Kind, Object, Ref
from ..resources.names import BACKEND_LABEL, DEPLOYMENT_LABEL
from .store import Store

_OWNERS = ((DEPLOYMENT_LABEL, MODELDEPLOYMENT), (BACKEND_LABEL, IPFSBACKEND))
_BY_NAME = {(kind.api_version, kind.name): kind for kind in (MODELDEPLOYMENT, IPFSBACKEND)}


def refs_to_enqueue(kind: Kind, before: Object | None, after: Object | None, store: Store) -> set[Ref]:
    """Return what to look at because an object was (`before`) and is now (`after`); one of the two may be None, not both."""
    refs: set[Ref] = set()
    if kind == REPLICASET and before is not None and after is not None:
        return refs  # its counts: the pods and the Deployment tell them too
    for obj in (before, after):
        if obj is not None:
            refs.update(_directly(kind, obj))
    if kind == IPFSBACKEND and _tells(kind, before) != _tells(kind, after):
        refs.update(_users(before, after, store))
    if kind == CONTROLLERREVISION or (kind == POD and after is None):
        refs.update(_going(before, after, store))
    if kind == MODELDEPLOYMENT and _tells(kind, before) != _tells(kind, after):
        refs.update(_used(before, after, store))
    return refs


def uses(deployment: Object, backend: str) -> bool:
    """Return whether a ModelDeployment reads from this backend of its namespace; one that names none reads from all."""
    named = [ref.get("name") for ref in deployment.get("spec", {}).get("storage", {}).get("backendRefs", [])]
    return not named or backend in named


def _directly(kind: Kind, obj: Object) -> Iterator[Ref]:
    meta = obj["metadata"]
    if kind in _BY_NAME.values():
        yield Ref(kind, meta["namespace"], meta["name"])
        return
    for label, owner in _OWNERS:
        if name := meta.get("labels", {}).get(label):
            yield Ref(owner, meta["namespace"], name)
    for reference in meta.get("ownerReferences", []):  # a child whose labels somebody took off
        if owner_kind := _BY_NAME.get((reference["apiVersion"], reference["kind"])):
            yield Ref(owner_kind, meta["namespace"], reference["name"])


def _users(before: Object | None, after: Object | None, store: Store) -> Iterator[Ref]:
    """The ModelDeployments of the namespace that use the backend."""
    meta = (after or before or {})["metadata"]
    for deployment in store.list(MODELDEPLOYMENT, meta["namespace"]):
        if uses(deployment, meta["name"]):
            yield Ref(MODELDEPLOYMENT, meta["namespace"], deployment["metadata"]["name"])


def _used(before: Object | None, after: Object | None, store: Store) -> Iterator[Ref]:
    """The backends that the ModelDeployment uses, or used before this change."""
    meta = (after or before or {})["metadata"]
    for backend in store.list(IPFSBACKEND, meta["namespace"]):
        name = backend["metadata"]["name"]
        if any(obj is not None and uses(obj, name) for obj in (before, after)):
            yield Ref(IPFSBACKEND, meta["namespace"], name)


def _going(before: Object | None, after: Object | None, store: Store) -> Iterator[Ref]:
    """The backends of the namespace that wait in deletion: for what was rendered with them, and what of it runs."""
    meta = (after or before or {})["metadata"]
    for backend in store.list(IPFSBACKEND, meta["namespace"]):
        if "deletionTimestamp" in backend["metadata"]:
            yield Ref(IPFSBACKEND, meta["namespace"], backend["metadata"]["name"])


def _tells(kind: Kind, obj: Object | None) -> object:
    """What the other kind reads of an object: progress of a transfer, for one, is nothing to wake a backend for."""
    if obj is None:
        return None
    meta, status = obj["metadata"], obj.get("status", {})
    read = ("conditions", "version", "peerID", "capabilities") if kind == IPFSBACKEND else ("model", "revisions", "serving")
    return (meta["uid"], meta.get("generation"), "deletionTimestamp" in meta, [status.get(name) for name in read])
