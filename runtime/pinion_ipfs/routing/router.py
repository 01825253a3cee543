"""The router: an ordered list of backends, fallback for each operation, a receipt for each."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, TypeVar, cast

from ..backends.base import Backend, Capability, DagStat, Health, Receipt
from ..backends.breaker import BreakerSettings, Circuit, CircuitState
from ..backends.collecting import Collected, GcOrder
from ..content.cid import Cid
from ..errors import BackendUnavailable, ContentError, ReplicationFailed
from .attempts import FALLBACK_ERRORS, Attempts
from .places import count_places, places_of
from .replication import ONE, Replication

__all__ = ["FALLBACK_ERRORS", "Router"]

T = TypeVar("T")

_FROM_GOOD_TO_BAD = (CircuitState.CLOSED, CircuitState.HALF_OPEN, CircuitState.OPEN)


class Router:
    """Backends in order of preference. Each operation returns what the first one that can serve it gives.

    `breakers` says by a backend's name when it is left alone; others have the default.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        on_operation: Callable[[Receipt], None] = lambda receipt: None,
        *,
        breakers: Mapping[str, BreakerSettings] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backends = tuple({id(backend): backend for backend in backends}.values())
        self._on_operation = on_operation
        settings = breakers or {}
        self._circuits = {id(backend): Circuit(settings.get(backend.name), clock) for backend in self.backends}

    def able(self, *capabilities: Capability) -> list[Backend]:
        """Return the backends with all of these capabilities, in order."""
        return [backend for backend in self.backends if backend.capabilities.issuperset(capabilities)]

    def circuits(self) -> dict[str, CircuitState]:
        """Return the state of each name's circuit; of a name with several ways to it the one that is worst off."""
        states: dict[str, CircuitState] = {}
        for backend in self.backends:
            state = self._circuit(backend).state
            states[backend.name] = max(state, states.get(backend.name, state), key=_FROM_GOOD_TO_BAD.index)
        return states

    def _circuit(self, backend: Backend) -> Circuit:
        return self._circuits[id(backend)]

    def passes_over(self, backend: Backend) -> bool:
        """Tell whether a backend failed too often lately and is not asked for now; who is let through tells `note` the end."""
        return not self._circuit(backend).allow()

    def note(self, backend: Backend, error: ContentError | None) -> None:
        """Take the outcome of a call that was made outside the router."""
        self._circuit(backend).record(error)

    async def run(
        self,
        operation: str,
        capability: Capability,
        call: Callable[[Backend], Awaitable[T]],
        *,
        cid: Cid | None = None,
        count: Callable[[T], int] = lambda result: 0,
    ) -> T:
        """Call backends in order until one serves; publish the receipt; raise the best error when none does."""
        return await self._first(self.able(capability), operation, call, cid, count)

    async def _first(
        self,
        able: Sequence[Backend],
        operation: str,
        call: Callable[[Backend], Awaitable[T]],
        cid: Cid | None = None,
        count: Callable[[T], int] = lambda result: 0,
    ) -> T:
        attempts = Attempts(operation, able, self._circuit, cid)
        for backend in attempts.let_through():
            with attempts.at(backend):
                result = await call(backend)
            if attempts.served:
                self._on_operation(attempts.receipt(count(result)))
                return result
        return self._fail(attempts)

    def _fail(self, attempts: Attempts, done: int = 0) -> NoReturn:
        failure = attempts.failure()
        self._on_operation(attempts.receipt(done, str(failure)))
        raise failure

    async def replicate(
        self,
        operation: str,
        able: Sequence[Backend],
        call: Callable[[Backend], Awaitable[int]],
        cid: Cid,
        wanted: Replication = ONE,
        *,
        bring: Callable[[Backend], Awaitable[int]] | None = None,
    ) -> None:
        """Call backends in order until as many as are wanted at most have done it; publish the receipt with a line for each.

        `bring` is called of those that lack the content, once another has it. `call` and `bring` return bytes. Raise
        ReplicationFailed for fewer than are wanted at least; where none did it, the error that a single one would raise.
        """
        if able and (most := await asyncio.to_thread(count_places, list(able))) < wanted.least:
            names = ", ".join(backend.name for backend in able)
            same = f", which are {'one place' if most == 1 else f'{most} places'}" if most < len(able) else ""
            raise ReplicationFailed(
                f"{operation} {cid}: at least {wanted.least} backends are wanted, and {names} can do it{same}"
            )
        attempts = Attempts(operation, able, self._circuit, cid)
        done = 0
        held: set[tuple[str, str]] = set()  # a place that has it is not asked again by another name: it would count twice
        for backend in attempts.let_through(lambda each: held.isdisjoint(places_of(each))):
            with attempts.at(backend):
                done += await call(backend)
                held.update(places_of(backend))
            if len(attempts.served) >= wanted.most:
                break
        for backend in tuple(attempts.lacking) if attempts.served and bring else ():
            if len(attempts.served) < wanted.most and bring and held.isdisjoint(places_of(backend)):
                with attempts.at(backend):
                    done += await bring(backend)
                    held.update(places_of(backend))
        if len(attempts.served) < wanted.least:
            failure = attempts.too_few(wanted.least)
            self._on_operation(attempts.receipt(done, str(failure), replicated=True))
            raise failure
        self._on_operation(attempts.receipt(done, replicated=True))

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block; nobody is asked for one that its CID holds."""
        if cid.inline is not None:
            return cid.inline
        return await self.run("block_get", Capability.READ, lambda backend: backend.block_get(cid), cid=cid, count=len)

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block in the first backend that takes it."""
        return await self.run("block_put", Capability.WRITE, lambda backend: backend.block_put(data, codec=codec))

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a small file to the first backend that takes it."""
        return await self.run("add_bytes", Capability.ADD, lambda backend: backend.add_bytes(data, pin=pin))

    async def stat(self, cid: Cid) -> DagStat:
        """Return the size of a DAG that one backend has as a whole."""
        return await self.run("stat", Capability.PIN, lambda backend: backend.stat(cid), cid=cid)

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG in the first backend that has it as a whole."""
        await self.run("pin", Capability.PIN, lambda backend: backend.pin(cid), cid=cid)

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin in every backend that keeps pins; raise the first error after all were asked."""
        await self._each("unpin", lambda backend: backend.unpin(cid), cid)

    async def pin_ls(self) -> frozenset[Cid]:
        """Return what is pinned in any backend that keeps pins; raise the first error after all were asked."""
        return frozenset().union(*await self._each("pin_ls", lambda backend: backend.pin_ls()))

    async def gc(self, order: GcOrder) -> tuple[Collected, ...]:
        """Free space in every backend that collects, and tell of each; raise BackendUnavailable when none of them did."""
        told: list[Collected] = []
        for backend in self.backends:
            if Capability.GC not in backend.capabilities:
                told.append(Collected(backend.name, dry_run=order.dry_run, error="it collects no garbage"))
                self._on_operation(Receipt("gc", "", backend.name, 0.0, error=told[-1].error))
                continue
            try:
                told.append(await self._first([backend], "gc", lambda each: each.gc(order), count=lambda done: done.freed))
            except FALLBACK_ERRORS as error:
                told.append(Collected(backend.name, dry_run=order.dry_run, error=str(error)))
        if all(each.error for each in told):
            raise BackendUnavailable("gc: " + ("; ".join(f"{each.backend}: {each.error}" for each in told) or "no backend"))
        return tuple(told)

    async def _each(self, operation: str, call: Callable[[Backend], Awaitable[T]], cid: Cid | None = None) -> list[T]:
        """Return what every backend that keeps pins gives; raise the first error after all were asked."""
        found: list[T] = []
        failure: ContentError | None = None
        for backend in self.able(Capability.PIN):
            try:
                found.append(await self._first([backend], operation, call, cid))
            except BackendUnavailable as error:
                failure = failure or error
        if failure:
            raise failure
        return found

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file; when a backend fails on the way, the next one goes on where it stopped."""
        done = 0
        attempts = Attempts("cat", self.able(Capability.READ), self._circuit, cid)
        for backend in attempts.let_through():
            skip = done
            # Every backend's cat is an async generator; aclosing ends its request when we stop early.
            with attempts.at(backend):
                async with aclosing(cast(Any, backend.cat(cid))) as chunks:
                    async for chunk in chunks:
                        piece = chunk[skip:]
                        skip -= len(chunk) - len(piece)
                        if piece:
                            done += len(piece)
                            yield piece
            if attempts.served:
                self._on_operation(attempts.receipt(done))
                return
        self._fail(attempts, done)

    async def probe(self) -> list[Health]:
        """Probe every backend, in order; a backend that answers is tried again at once."""
        results = []
        for backend in self.backends:
            health = await backend.probe()
            if health.usable:
                self._circuit(backend).record(None)
            results.append(health)
        return results

    async def close(self) -> None:
        """Release all connections."""
        for backend in self.backends:
            await backend.close()
