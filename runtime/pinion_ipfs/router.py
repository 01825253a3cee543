"""The router: an ordered list of backends, fallback for each operation, a receipt for each."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

from .backends.base import Attempt, Backend, Capability, DagStat, Health, Receipt
from .content.cid import Cid
from .errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, MalformedCar, PinFailed

T = TypeVar("T")

# What another backend may do better. A caller's mistake (a bad CID, a directory where a file was meant) is none of these.
FALLBACK_ERRORS = (BackendUnavailable, BlockMismatch, MalformedCar, PinFailed)
_FAILURES_TO_OPEN = 3
_OPEN_SECONDS = 30.0


class Circuit:
    """Keeps a backend that does not answer from costing every call a timeout: three failures open it, one trial closes it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether the backend should be passed over for now."""
        return self._clock() < self._open_until

    def record(self, error: ContentError | None) -> None:
        """Take the outcome of a call; content that is missing says that the backend answers."""
        if error is None or isinstance(error, ContentMissing):
            self._failures, self._open_until = 0, 0.0
        elif isinstance(error, BackendUnavailable):
            self._failures += 1
            if self._failures >= _FAILURES_TO_OPEN:
                self._open_until = self._clock() + _OPEN_SECONDS


class Router:
    """Backends in order of preference. Each operation returns what the first one that can serve it gives."""

    def __init__(self, backends: Sequence[Backend], on_operation: Callable[[Receipt], None] = lambda receipt: None) -> None:
        self.backends = tuple(backends)
        self._on_operation = on_operation
        self._circuits = {id(backend): Circuit() for backend in self.backends}

    def able(self, *capabilities: Capability) -> list[Backend]:
        """Return the backends with all of these capabilities, in order."""
        return [backend for backend in self.backends if backend.capabilities.issuperset(capabilities)]

    def passes_over(self, backend: Backend) -> bool:
        """Tell whether a backend did not answer lately and is not asked for now."""
        return self._circuits[id(backend)].is_open

    def note(self, backend: Backend, error: ContentError | None) -> None:
        """Take the outcome of a call that was made outside the router."""
        self._circuits[id(backend)].record(error)

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
        started = time.monotonic()
        able = self.able(capability)
        attempts: list[Attempt] = []
        errors: list[ContentError] = []
        for backend in able:
            circuit = self._circuits[id(backend)]
            if circuit.is_open:
                attempts.append(Attempt(backend.name, "did not answer lately", "CircuitOpen"))
                continue
            attempt_started = time.monotonic()
            try:
                result = await call(backend)
            except FALLBACK_ERRORS as error:
                circuit.record(error)
                errors.append(error)
                attempts.append(Attempt(backend.name, str(error), type(error).__name__, time.monotonic() - attempt_started))
                continue
            circuit.record(None)
            self._publish(operation, backend.name, able, started, attempts, cid, count(result))
            return result
        failure = _best_error(operation, cid, attempts, errors)
        self._publish(operation, "", able, started, attempts, cid, 0, str(failure))
        raise failure

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await self.run("block_get", Capability.READ, lambda backend: backend.block_get(cid), cid=cid, count=len)

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block in the first backend that takes it."""
        return await self.run("block_put", Capability.WRITE, lambda backend: backend.block_put(data, codec=codec))

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a small file to the first backend that takes it."""
        return await self.run("add_bytes", Capability.WRITE, lambda backend: backend.add_bytes(data, pin=pin))

    async def stat(self, cid: Cid) -> DagStat:
        """Return the size of a DAG that one backend has as a whole."""
        return await self.run("stat", Capability.PIN, lambda backend: backend.stat(cid), cid=cid)

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG in the first backend that has it as a whole."""
        await self.run("pin", Capability.PIN, lambda backend: backend.pin(cid), cid=cid)

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin in every backend that keeps pins; raise the first error after all were asked."""
        for backend in self.able(Capability.PIN):
            await Router([backend], self._on_operation).run("unpin", Capability.PIN, lambda each: each.unpin(cid), cid=cid)

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file; when a backend fails on the way, the next one goes on where it stopped."""
        started, done = time.monotonic(), 0
        able = self.able(Capability.READ)
        attempts: list[Attempt] = []
        errors: list[ContentError] = []
        for backend in able:
            attempt_started, skip = time.monotonic(), done
            try:
                # Every backend's cat is an async generator; aclosing ends its request when we stop early.
                async with aclosing(cast(Any, backend.cat(cid))) as chunks:
                    async for chunk in chunks:
                        piece = chunk[skip:]
                        skip -= len(chunk) - len(piece)
                        if piece:
                            done += len(piece)
                            yield piece
            except FALLBACK_ERRORS as error:
                errors.append(error)
                attempts.append(Attempt(backend.name, str(error), type(error).__name__, time.monotonic() - attempt_started))
                continue
            self._publish("cat", backend.name, able, started, attempts, cid, done)
            return
        failure = _best_error("cat", cid, attempts, errors)
        self._publish("cat", "", able, started, attempts, cid, done, str(failure))
        raise failure

    async def probe(self) -> list[Health]:
        """Probe every backend, in order; a backend that answers is tried again at once."""
        results = []
        for backend in self.backends:
            health = await backend.probe()
            if health.usable:
                self._circuits[id(backend)].record(None)
            results.append(health)
        return results

    async def close(self) -> None:
        """Release all connections."""
        for backend in self.backends:
            await backend.close()

    def _publish(
        self,
        operation: str,
        served_by: str,
        able: Sequence[Backend],
        started: float,
        attempts: Sequence[Attempt],
        cid: Cid | None,
        count: int,
        error: str = "",
    ) -> None:
        preferred = able[0].name if able else ""
        seconds = time.monotonic() - started
        self._on_operation(Receipt(operation, served_by, preferred, seconds, count, str(cid or ""), tuple(attempts), error))


def _best_error(operation: str, cid: Cid | None, attempts: Sequence[Attempt], errors: Sequence[ContentError]) -> ContentError:
    what = f"{operation} {cid}" if cid else operation
    if not attempts:
        return BackendUnavailable(f"{what}: no backend can do this")
    told = "; ".join(f"{attempt.backend}: {attempt.error}" for attempt in attempts)
    if errors and all(isinstance(error, ContentMissing) for error in errors) and len(errors) == len(attempts):
        return ContentMissing(f"{what}: {told}")
    return BackendUnavailable(f"{what}: {told}")
