"""Leader election by a Lease. A lost Lease ends the process; so does a write that is tried without a valid one."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from ..resources.kinds import LEASE, Key, Object
from ..resources.names import LEASE_LABEL, SERVES_ANNOTATION
from .api import Api
from .errors import ApiError, ConflictError, ThrottledError
from .rivals import Rivals, Silence
from .timing import Timing

log = logging.getLogger(__name__)

_NAMED = {"apiVersion": LEASE.api_version, "kind": LEASE.name}

OnRenewal = Callable[[str], None]  # renewed | standby | failed


class Lease:
    """One candidate. `acquire`, then `hold` for ever beside the work; `require` before each write; `release` at the end."""

    def __init__(self, api: Api, key: Key, identity: str, rivals: Rivals, *, timing: Timing, on_renewal: OnRenewal) -> None:
        self._api, self._key, self._identity, self._timing, self._on_renewal = api, key, identity, timing, on_renewal
        self._rivals, self._silence = rivals, Silence()
        self._valid_until = 0.0
        self._pause = timing.look  # seconds until the next look of a standby
        self._record: Object | None = None  # the Lease as we last read or wrote it; None = read it
        self.leads = False
        self.looked = asyncio.Event()  # the API server has answered once
        self.problem = ""  # why the last attempt failed

    async def acquire(self) -> None:
        """Return once we lead."""
        while True:
            if await self._renewed() and await self._is_alone():
                break
            await asyncio.sleep(min(self._timing.look, self._pause + 0.05))
        self.leads = True
        log.info("leading", extra={"lease": "/".join(self._key), "identity": self._identity})

    async def _is_alone(self) -> bool:
        """Whether no rival leads, asked once ours is there for all to see; else ours is given back.

        Of two that take theirs at once, each may see the other's: both step back, and come again at different times.
        """
        try:
            alone = not await self._rival_leads() and time.monotonic() < self._valid_until
        except ApiError as error:
            self._failed(error)
            alone = False
        if not alone:
            self._record = None
            await self.release()
            await asyncio.sleep(random.uniform(0, self._timing.look))
        return alone

    async def _rival_leads(self) -> bool:
        before = self._rivals.leader
        rival, self._pause = await self._rivals.look()
        if rival and (before is None or rival.lease != before.lease):
            log.warning("another installation leads: this one stands by", extra={"leader": str(rival)})
        return rival is not None

    async def hold(self) -> NoReturn:
        """Renew until the process ends."""
        renewed = True
        while True:
            await asyncio.sleep(self._timing.renewal if renewed else _soon())
            # A process that was frozen must not renew what has run out: another installation leads by a Lease of its own.
            self.require()
            renewed = await self._renewed()
            self.require()

    @property
    def valid(self) -> bool:
        """Whether we lead, by a clock that goes on while the process is frozen."""
        return self.leads and time.monotonic() < self._valid_until

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
            self._failed(error)
            return False
        self.problem = ""
        self.looked.set()
        self._on_renewal("renewed" if taken else "standby")
        if taken:
            self._valid_until = started + self._timing.deadline
        return taken

    def _failed(self, error: ApiError) -> None:
        said, self.problem = self.problem, str(error)
        self._record, self._pause = None, self._timing.look
        if said != self.problem:
            # Two standbys that reach for a free Lease: one of them is told ConflictError, and that is how it should be.
            level = logging.INFO if isinstance(error, ConflictError) else logging.WARNING
            log.log(level, "lease not renewed", extra={"error": self.problem})
        self._on_renewal("failed")

    async def _take_or_renew(self, now: str) -> bool:
        if self._record is None:
            self._record = await self._api.get(LEASE, self._key)
        meta: dict[str, Any] = dict(self._record["metadata"]) if self._record else {}
        spec: dict[str, Any] = dict(self._record["spec"]) if self._record else {}
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity:
            if self.leads:
                _die(f"lease taken by {holder or 'nobody'}")
            self._pause = self._silence.left(spec, self._timing.duration)
            if self._pause or await self._rival_leads():
                self._record = None  # read it again the next time
                return False
            spec |= {"acquireTime": now, "leaseTransitions": spec.get("leaseTransitions", -1) + 1}
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": self._timing.duration, "renewTime": now}
        meta |= {"labels": {**meta.get("labels", {}), LEASE_LABEL: "operator"}}
        meta |= {"annotations": {**meta.get("annotations", {}), SERVES_ANNOTATION: self._rivals.serves}}
        if self._record:  # its resourceVersion decides between two standbys, and tells us when another took it
            self._record = await self._api.replace({**self._record, **_NAMED, "metadata": meta, "spec": spec})
        else:
            meta |= {"namespace": self._key[0], "name": self._key[1]}
            self._record = await self._api.create({**_NAMED, "metadata": meta, "spec": spec})
        return True


def _soon() -> float:
    """Return a short wait, not the same for all."""
    return random.uniform(0.1, 0.5)


def _die(why: str) -> NoReturn:
    """End at once: no cleanup of a process that no longer leads may write anything."""
    log.critical("exit", extra={"reason": why})
    logging.shutdown()
    os._exit(1)
