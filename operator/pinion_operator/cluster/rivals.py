"""Other installations of the operator that serve a namespace of ours: one of all that overlap may lead.

Each has a Lease of its own, in its own namespace, for its own replicas. Which installations there are is told by what only an
administrator of the cluster can make, and what an installation needs to write anything: its ClusterRoleBinding.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..resources.kinds import CLUSTERROLEBINDING, LEASE, Key, Object
from ..resources.names import LEASE_ANNOTATION, PART_OF, SERVES_ANNOTATION
from .api import Api

EVERYTHING = "*"  # as it stands in the annotation of a Lease


class Rival(NamedTuple):
    """Another installation that leads."""

    lease: Key
    holder: str
    serves: str

    def __str__(self) -> str:
        where = "all namespaces" if self.serves == EVERYTHING else self.serves
        return f"{'/'.join(self.lease)} (held by {self.holder}), which serves {where}"


class Silence:
    """For how long the record of a Lease has stood still, by our own clock: the times in it are by another's."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: tuple[Object, float] = ({}, 0.0)

    def left(self, spec: Object, duration: float) -> float:
        """Return the seconds until a holder counts as gone; 0 when nobody holds the Lease, or it has stood still so long."""
        if spec != self._seen[0]:
            self._seen = (spec, self._now())
        if not spec.get("holderIdentity"):
            return 0.0
        return max(0.0, float(spec.get("leaseDurationSeconds", duration)) - (self._now() - self._seen[1]))


class Rivals:
    """Looks for them when there is a chance to lead; while one leads only its Lease is looked at."""

    def __init__(self, api: Api, own: Key, namespaces: Sequence[str], duration: float) -> None:
        self._api, self._own, self._namespaces, self._duration = api, own, frozenset(namespaces), duration
        self._silences: dict[Key, Silence] = {}
        self.leader: Rival | None = None  # as of the last look

    @property
    def serves(self) -> str:
        """Return what this installation serves, as others read it."""
        return ",".join(sorted(self._namespaces)) or EVERYTHING

    async def look(self) -> tuple[Rival | None, float]:
        """Return (a rival that leads, the seconds until it may count as gone)."""
        if self.leader is not None:
            found = await self._leads(self.leader.lease)
            if found[0] is not None:
                self.leader = found[0]
                return found
        _, bindings = await self._api.list(CLUSTERROLEBINDING, selector=f"{PART_OF}=pinion")
        leases = {lease for binding in bindings if (lease := lease_of(binding)) is not None and lease != self._own}
        self._silences = {lease: silence for lease, silence in self._silences.items() if lease in leases}
        looks = await self._api.together(map(self._leads, sorted(leases)))
        found = next((one for one in looks if one[0] is not None), (None, 0.0))
        self.leader = found[0]
        return found

    async def _leads(self, lease: Key) -> tuple[Rival | None, float]:
        obj = await self._api.get(LEASE, lease) or {"spec": {}}
        spec = obj.get("spec") or {}
        left = self._silences.setdefault(lease, Silence()).left(spec, self._duration)
        serves = obj.get("metadata", {}).get("annotations", {}).get(SERVES_ANNOTATION, EVERYTHING)
        if not left or not self._overlaps(serves):
            return None, 0.0
        return Rival(lease, spec["holderIdentity"], serves), left

    def _overlaps(self, serves: str) -> bool:
        theirs = frozenset(serves.split(","))
        return not self._namespaces or EVERYTHING in theirs or bool(theirs & self._namespaces)


def lease_of(binding: Object) -> Key | None:
    """Return the Lease of the installation that a ClusterRoleBinding belongs to.

    A binding of an older chart does not say; its Lease bears the name of its service account.
    """
    namespace, _, name = binding["metadata"].get("annotations", {}).get(LEASE_ANNOTATION, "").partition("/")
    if namespace and name:
        return namespace, name
    for subject in binding.get("subjects") or ():
        if subject.get("kind") == "ServiceAccount" and subject.get("namespace"):
            return subject["namespace"], subject["name"]
    return None
