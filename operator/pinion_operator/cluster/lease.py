"""Leader election by a Lease. A lost Lease ends the process; so does a write that is tried without a valid one."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from ..resources.kinds import LEASE, Key, Object
from .api import Api
from .errors import ApiError, ConflictError, ThrottledError

log = logging.getLogger(__name__)

_NAMED = {"apiVersion": LEASE.api_version, "kind": LEASE.name}

OnRenewal = Callable[[str], None]  # renewed | standby | failed


@dataclass(frozen=True)
class Timing:
    """Seconds. Others wait `duration` before they take over, the holder gives up after `deadline`."""

    duration: int = 15
    deadline: float = 12.0
    retry: float = 2.0  # between attempts; sooner after one that failed

    @property
    def attempt(self) -> float:
        """Return the limit of one request: after one that hangs there is time for another."""
        return (self.deadline - self.retry) / 2


class Lease:
    """One candidate. `acquire`, then `hold` for ever beside the work; `require` before each write; `release` at the end."""

    def __init__(self, api: Api, key: Key, identity: str, *, timing: Timing, on_renewal: OnRenewal) -> None:
        self._api, self._key, self._identity, self._timing, self._on_renewal = api, key, identity, timing, on_renewal
        self._valid_until = 0.0
        self._seen: tuple[Object, float] = ({}, 0.0)  # another holder's record, and when it last changed by our own clock
        self._record: Object | None = None  # the Lease as we last read or wrote it; None = read it
        self.looked = asyncio.Event()  # the API server has answered once

    async def acquire(self) -> None:
        """Return once we lead."""
        while True:
            if await self._renewed():
                break
            await asyncio.sleep(self._timing.retry)
        log.info("leading", extra={"lease": "/".join(self._key), "identity": self._identity})

    async def hold(self) -> NoReturn:
        """Renew until the process ends."""
        renewed = True
        while True:
            await asyncio.sleep(self._timing.retry if renewed else min(self._timing.retry / 2, _soon()))
            renewed = await self._renewed()
            self.require()

    @property
    def valid(self) -> bool:
        """Whether we lead, by a clock that goes on while the process is frozen."""
        return time.monotonic() < self._valid_until

    def require(self) -> None:
        """End the process when the Lease is no longer surely ours: another may write already."""
        if not self.valid:
            _die("lease not renewed in time")

    async def release(self) -> None:
        """Give the Lease back, so that a standby need not wait."""
        for last in (False, False, True):
            try:
                lease = await self._api.get(LEASE, self._key)
                if lease and lease["spec"].get("holderIdentity") == self._identity:
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._api.replace({**lease, **_NAMED, "spec": spec})
            except ApiError as error:
                if last or not isinstance(error, ThrottledError | ConflictError):
                    log.warning("lease not released", extra={"error": str(error)})
                    return
                await asyncio.sleep(_soon())
            else:
                return

    async def _renewed(self) -> bool:
        started = time.monotonic()  # from before the request: others count from when they see its result
        try:
            taken = await self._take_or_renew(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        except ApiError as error:
            self._record = None
            # Two standbys that reach for a free Lease: one of them is told ConflictError, and that is how it should be.
            level = logging.INFO if isinstance(error, ConflictError) else logging.WARNING
            log.log(level, "lease not renewed", extra={"error": str(error)})
            self._on_renewal("failed")
            return False
        self.looked.set()
        self._on_renewal("renewed" if taken else "standby")
        if taken:
            self._valid_until = started + self._timing.deadline
        return taken

    async def _take_or_renew(self, now: str) -> bool:
        if self._record is None:
            self._record = await self._api.get(LEASE, self._key)
        spec: dict[str, Any] = dict(self._record["spec"]) if self._record else {}
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity:
            if self._valid_until:  # we have led
                _die(f"lease taken by {holder or 'nobody'}")
            if not self._is_free(spec, holder):
                self._record = None  # read it again the next time
                return False
            spec |= {"acquireTime": now, "leaseTransitions": spec.get("leaseTransitions", -1) + 1}
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": self._timing.duration, "renewTime": now}
        if self._record:  # its resourceVersion decides between two standbys, and tells us when another took it
            self._record = await self._api.replace({**self._record, **_NAMED, "spec": spec})
        else:
            meta = {"namespace": self._key[0], "name": self._key[1]}
            self._record = await self._api.create({**_NAMED, "metadata": meta, "spec": spec})
        return True

    def _is_free(self, spec: Object, holder: str) -> bool:
        """Whether the holder has let its record stand for its whole duration, by our clock: times in it are by another's."""
        if spec != self._seen[0]:
            self._seen = (spec, time.monotonic())
        return not holder or time.monotonic() - self._seen[1] > spec.get("leaseDurationSeconds", self._timing.duration)


def _soon() -> float:
    """Return a short wait, not the same for all."""
    return random.uniform(0.1, 0.5)


def _die(why: str) -> NoReturn:
    """End at once: no cleanup of a process that no longer leads may write anything."""
    log.critical("exit", extra={"reason": why})
    logging.shutdown()
    os._exit(1)
