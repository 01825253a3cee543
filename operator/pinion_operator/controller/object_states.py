"""What the status of each object says of the whole, as labels of a metric. The store tells of changes: it costs no call."""

from typing import NamedTuple

from ..conditions import ConditionType, Reason
from ..resources.kinds import IPFSBACKEND, MODELDEPLOYMENT, Kind, Object, Ref, ref_of

TOLD = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.AVAILABLE)
_KINDS = frozenset({MODELDEPLOYMENT, IPFSBACKEND})


class Told(NamedTuple):
    """One condition of one object, in the order of the metric's labels."""

    kind: str
    namespace: str
    name: str
    condition: str
    status: str
    reason: str


def told_of(obj: Object) -> tuple[Told, ...]:
    """Return what an object's status says of it. One that nothing is said of yet is on the way: each object has a Ready."""
    ref, said = ref_of(obj), {one["type"]: one for one in obj.get("status", {}).get("conditions", ())}
    said.setdefault(ConditionType.READY, {"status": "Unknown", "reason": Reason.PROGRESSING.value})
    return tuple(
        Told(ref.kind.name, ref.namespace, ref.name, type_.value, said[type_]["status"], said[type_]["reason"])
        for type_ in TOLD
        if type_ in said
    )


class ObjectStates:
    """Of the objects alive, and of no other: what has been deleted is forgotten with the event or list that says so."""

    def __init__(self) -> None:
        self._told: dict[Ref, tuple[Told, ...]] = {}

    def saw(self, kind: Kind, before: Object | None, after: Object | None) -> None:
        """Take in a change of the store."""
        if kind not in _KINDS:
            return
        if after is not None:
            self._told[ref_of(after)] = told_of(after)
        elif before is not None:
            self._told.pop(ref_of(before), None)

    def all(self) -> list[Told]:
        """Return what is said of all of them."""
        return [one for told in self._told.values() for one in told]
