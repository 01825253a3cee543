"""The newest that lists, events and the answers to our own writes have shown of each watched object."""

from collections.abc import Callable, Iterable, Mapping

from ..resources.kinds import POD, Key, Kind, Object

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
        """Return the objects whose ownerReferences name this uid, pods excepted, sorted by kind and key."""
        found = sorted(self._owned.get(owner_uid, ()))
        return tuple(self._objects[kind][key] for kind, key in found if kind != POD)

    def saw(self, kind: Kind, obj: Object) -> bool:
        """Take in one object; return whether that is news."""
        key = key_of(obj)
        known = self.get(kind, key)
        if version(obj) <= max(version(known) if known else 0, self._gone.get(kind, {}).get(key, 0)):
            return False
        self._remove(kind, key)
        meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        self._objects.setdefault(kind, {})[key] = {"apiVersion": kind.api_version, "kind": kind.name, **obj, "metadata": meta}
        for uid in owner_uids(obj):
            self._owned.setdefault(uid, set()).add((kind, key))
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
        for uid in owner_uids(obj) if obj else ():
            owned = self._owned[uid]
            owned.discard((kind, key))
            if not owned:
                del self._owned[uid]


def version(obj: Object) -> int:
    """Return the resourceVersion as a number: one etcd behind one API group orders them."""
    return int(obj["metadata"]["resourceVersion"])


def key_of(obj: Object) -> Key:
    """Return (namespace, name)."""
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def owner_uids(obj: Object) -> list[str]:
    """Return the uids of the owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences", [])]
