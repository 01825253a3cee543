"""Other installations of the operator that serve a namespace of ours: one of all that overlap may lead.

Each has a Lease in its own namespace, for its own replicas, with a label to find it by. Anybody who may make Leases in some
namespace can make one that looks so: it counts only if the service account of its name, in its namespace, may do what an
operator must and nobody else may.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..resources.kinds import LEASE, MODELDEPLOYMENT, Key, Object
from ..resources.names import LEASE_LABEL, SERVES_ANNOTATION
from .api import Api

EVERYTHING = "*"  # as it stands in the annotation of a Lease
TRUSTED_SECONDS = 60.0  # that an account may write is asked again after so long


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
        self._trusted: dict[tuple[Key, str], float] = {}  # Lease and namespace: until when its account may write there
        self.leader: Rival | None = None  # as of the last look

    @property
    def serves(self) -> str:
        """Return what this installation serves, as others read it."""
        return ",".join(sorted(self._namespaces)) or EVERYTHING

    async def look(self) -> tuple[Rival | None, float]:
        """Return (a rival that leads, the seconds until it may count as gone)."""
        if self.leader is not None and (lease := await self._api.get(LEASE, self.leader.lease)) is not None:
            found = await self._leads(lease)
            if found[0] is not None:
                self.leader = found[0]
                return found
        _, leases = await self._api.list(LEASE, selector=LEASE_LABEL)
        others = {key_of_lease(lease): lease for lease in leases}
        others.pop(self._own, None)
        self._silences = {key: silence for key, silence in self._silences.items() if key in others}
        looks = await self._api.together([self._leads(lease) for _, lease in sorted(others.items())])
        found = next((one for one in looks if one[0] is not None), (None, 0.0))
        self.leader = found[0]
        return found

    async def _leads(self, lease: Object) -> tuple[Rival | None, float]:
        key, spec = key_of_lease(lease), lease.get("spec") or {}
        left = self._silences.setdefault(key, Silence()).left(spec, self._duration)
        serves = lease["metadata"].get("annotations", {}).get(SERVES_ANNOTATION, EVERYTHING)
        if not left or not await self._may_write(key, overlap(serves, self._namespaces)):
            return None, 0.0
        return Rival(key, spec["holderIdentity"], serves), left

    async def _may_write(self, lease: Key, namespaces: Sequence[str]) -> bool:
        """Return whether the service account that bears the name of a Lease may be the operator of one of these."""
        now = time.monotonic()
        for where in namespaces:
            if self._trusted.get((lease, where), 0.0) > now:
                return True
            if await self._api.may("patch", MODELDEPLOYMENT, "status", where, account=lease):
                self._trusted[lease, where] = now + TRUSTED_SECONDS
                return True
        return False


def overlap(serves: str, namespaces: frozenset[str]) -> tuple[str, ...]:
    """Return the namespaces that both serve, ("",) for all of them; `serves` as a Lease says it, no `namespaces` = all."""
    theirs = frozenset(serves.split(","))
    if EVERYTHING in theirs:
        return tuple(sorted(namespaces)) or ("",)
    return tuple(sorted(theirs & namespaces if namespaces else theirs))


def key_of_lease(lease: Object) -> Key:
    """Return (namespace, name)."""
    return lease["metadata"]["namespace"], lease["metadata"]["name"]
