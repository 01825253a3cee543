"""The newest that lists, events and the answers to our own writes have shown of each watched object."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ..resources.kinds import POD, REPLICASET, Key, Kind, Object
from ..resources.names import BACKEND_LABEL, DEPLOYMENT_LABEL

_I = TypeVar("_I")

BARE = frozenset({REPLICASET})  # of these only the metadata is kept: whose they are is all that is asked

OnChange = Callable[[Kind, Object | None, Object | None], None]  # kind, before, after


class Store:
    """Objects by kind and key, newest by resourceVersion; indexed by owner. Every change is told to `on_change`.

    kopf's own index keeps for ever an object whose deletion fell before a list, and starts in quadratic time.
    """

    def __init__(self, on_change: OnChange = lambda *_: None) -> None:
        self._on_change = on_change
        self._objects: dict[Kind, dict[Key, Object]] = {}
        self._gone: dict[
            Kind, dict[Key, int]
        ] = {}  # version of a deletion: answers and events can come after it, older than it
        self._listed: dict[tuple[Kind, str], int] = {}  # version of the last list of a namespace
        self._owned: dict[str, set[tuple[Kind, Key]]] = {}  # by uid of the owner
        self._labelled: dict[tuple[str, str, str], set[tuple[Kind, Key]]] = {}  # by label, namespace and the name in it

    def get(self, kind: Kind, key: Key) -> Object | None:
        """Return one object, or None."""
        return self._objects.get(kind, {}).get(key)

    def list(self, kind: Kind, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Object, ...]:
        """Return the objects of a kind, of one namespace unless "", that carry all these labels, sorted by key."""
        wanted = (labels or {}).items()
        found = [
            (key, obj)
            for key, obj in self._objects.get(kind, {}).items()
            if (not namespace or key[0] == namespace) and wanted <= obj["metadata"].get("labels", {}).items()
        ]
        return tuple(obj for _, obj in sorted(found, key=lambda item: item[0]))

    def children(self, owner_uid: str) -> tuple[Object, ...]:
        """Return the objects whose ownerReferences name this uid, sorted by kind and key."""
        found = sorted(self._owned.get(owner_uid, ()))
        return tuple(self._objects[kind][key] for kind, key in found if kind not in (POD, REPLICASET))

    def labelled(self, label: str, namespace: str, name: str) -> tuple[Object, ...]:
        """Return the objects that the label ties to an object of this name, owned or not, sorted by kind and key."""
        return tuple(self._objects[kind][key] for kind, key in sorted(self._labelled.get((label, namespace, name), ())))

    def saw(self, kind: Kind, obj: Object) -> bool:
        """Take in one object; return whether that is news."""
        key = key_of(obj)
        known = self.get(kind, key)
        if version(obj) <= max(version(known) if known else 0, self._gone.get(kind, {}).get(key, 0)):
            return False
        self._remove(kind, key)
        meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        content = {} if kind in BARE else obj
        known_as = {"apiVersion": kind.api_version, "kind": kind.name}
        self._objects.setdefault(kind, {})[key] = {**known_as, **content, "metadata": meta}
        for uid in owner_uids(obj):
            self._owned.setdefault(uid, set()).add((kind, key))
        for tie in _ties(obj):
            self._labelled.setdefault(tie, set()).add((kind, key))
        self._on_change(kind, known, self._objects[kind][key])
        return True

    def saw_deleted(self, kind: Kind, obj: Object) -> bool:
        """Take in a deletion (an object that has lost our label counts); return whether we knew the object."""
        key = key_of(obj)
        gone = self._gone.setdefault(kind, {})
        gone[key] = max(version(obj), gone.get(key, 0))
        known = self.get(kind, key)
        if known is None or version(known) > version(obj):  # a new one of that name is there already
            return False
        self._remove(kind, key)
        self._on_change(kind, known, None)
        return True

    def replace(self, kind: Kind, items: Iterable[Object], as_of: int, namespace: str = "") -> None:
        """Take in a whole list, of one namespace unless "", complete up to resourceVersion `as_of`: what it lacks is gone."""
        items = list(items)
        for item in items:
            self.saw(kind, item)
        alive = {item["metadata"]["uid"] for item in items}
        gone = [
            obj
            for obj in self.list(kind, namespace)
            if obj["metadata"]["uid"] not in alive and version(obj) <= as_of  # newer than the list: made after it
        ]
        for obj in gone:
            self._remove(kind, key_of(obj))
            self._on_change(kind, obj, None)
        # Deletions older than the list before this one: no request of ours is as old as that.
        floor = self._listed.get((kind, namespace), 0)
        self._listed[kind, namespace] = as_of
        remembered = self._gone.get(kind, {}).items()
        self._gone[kind] = {key: at for key, at in remembered if at > floor or (namespace and key[0] != namespace)}

    def count(self, kind: Kind) -> int:
        """Return how many objects of a kind are known."""
        return len(self._objects.get(kind, ()))

    def _remove(self, kind: Kind, key: Key) -> None:
        obj = self._objects.get(kind, {}).pop(key, None)
        if obj is None:
            return
        for uid in owner_uids(obj):
            _discard(self._owned, uid, (kind, key))
        for tie in _ties(obj):
            _discard(self._labelled, tie, (kind, key))


def _ties(obj: Object) -> list[tuple[str, str, str]]:
    meta = obj["metadata"]
    labels = meta.get("labels", {})
    return [(label, meta["namespace"], labels[label]) for label in (DEPLOYMENT_LABEL, BACKEND_LABEL) if label in labels]


def _discard(index: dict[_I, set[tuple[Kind, Key]]], at: _I, item: tuple[Kind, Key]) -> None:
    index[at].discard(item)
    if not index[at]:
        del index[at]


def version(obj: Object) -> int:
    """Return the resourceVersion as a number: one etcd behind one API group orders them."""
    return int(obj["metadata"]["resourceVersion"])


def key_of(obj: Object) -> Key:
    """Return (namespace, name)."""
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def owner_uids(obj: Object) -> list[str]:
    """Return the uids of the owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences", [])]
