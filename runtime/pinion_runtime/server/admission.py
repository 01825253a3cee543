"""What is let in: so many requests, so many bytes of bodies, and nothing past the limits of the moment."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pinion_contract.config import Limits

from .codings import content_codings, decode, to_utf8
from .errors import ApiError, Code, queue_full, shorten
from .http import Request
from .intake import Body, Intake
from .interrupt import Interruptible

_SMOOTHING = 0.1  # weight of the newest interval
_BODIES_HELD = 16  # bodies of the largest allowed size that may lie in memory together


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come: one that is slower is sent so on purpose, or by nobody any more."""

    idle_seconds: float = 30.0  # without a byte, and before the rate counts
    bytes_per_second: float = 4096.0  # on average


class DrainRate:
    """How fast requests are done with, smoothed; says when a place may be free again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds_each = 0.0

    def finished(self) -> None:
        """Take note that a request has left."""
        now = self._clock()
        self._seconds_each += _SMOOTHING * (now - self._last - self._seconds_each)
        self._last = now

    def seconds_for(self, requests: int) -> float:
        """Return how long the requests that are in will take; at least the time since the last one left."""
        return max(self._seconds_each * requests, self._clock() - self._last)


class Admission:
    """Count the requests and the bytes that are in, and refuse what is too much."""

    def __init__(self, limits: Callable[[], Limits], pace: Pace | None = None) -> None:
        self._limits = limits
        self._pace = pace or Pace()
        self._drain = DrainRate()
        self._body_bytes = 0
        self._intake = Intake()
        self._working: set[Interruptible] = set()
        self.requests = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold the place of one request, from its head to its answer; raise the 429 when all are taken."""
        limits = self._limits()
        most = limits.max_concurrent_requests + limits.max_queued_requests
        if self.requests >= most:
            raise self._full(f"All {most} places of this pod are taken")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
            self._drain.finished()

    @contextmanager
    def working(self, work: Interruptible) -> Iterator[None]:
        """Let `interrupt_all` reach this work."""
        self._working.add(work)
        try:
            yield
        finally:
            self._working.discard(work)

    def interrupt_all(self, why: Exception) -> None:
        """Stop all work under way: the end of the grace period has come."""
        for work in list(self._working):
            work.interrupt(why)

    async def read_body(self, request: Request) -> bytes:
        """Read the whole body, decoded and in UTF-8.

        Raises 413 before anything is parsed when it is too large, as sent or decoded, 408 when it does not come,
        415 for an encoding that is not taken, 400 for one that is damaged.
        """
        limit = self._limits().max_body_bytes
        announced = request.content_length
        if announced is not None and announced > limit:
            raise _too_large(limit)
        _check_transfer(request)
        codings = content_codings(request.whole_header(b"content-encoding"))
        with self._holding(limit) as hold:
            sent, started = bytearray(), time.monotonic()
            while (chunk := await self._chunk(request, len(sent), started)) is not None:
                sent += chunk
                if len(sent) > limit:
                    raise _too_large(limit)
                hold(len(chunk))
            body = await decode(bytes(sent), codings, limit, hold)
            return await to_utf8(body, request.header(b"content-type") or "")

    @contextmanager
    def intake(self, data: bytes) -> Iterator[Body]:
        """Count a body that was read just now until it is closed: it lies in memory while it waits to become token ids."""
        self._body_bytes += len(data)
        body = Body(data, self._intake, self._forget)
        try:
            yield body
        finally:
            body.close()

    def _forget(self, size: int) -> None:
        self._body_bytes -= size

    @contextmanager
    def _holding(self, limit: int) -> Iterator[Callable[[int], None]]:
        """Count bytes that lie in memory, until the end; what it yields raises the 429 when all bodies are too many."""
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            held += size
            self._body_bytes += size
            if self._body_bytes > _BODIES_HELD * limit:
                raise self._full("Too many large bodies are being read")

        try:
            yield hold
        finally:
            self._body_bytes -= held

    async def _chunk(self, request: Request, size: int, started: float) -> bytes | None:
        pace = self._pace
        left = started + pace.idle_seconds + size / pace.bytes_per_second - time.monotonic()
        try:
            return await request.next_chunk(min(pace.idle_seconds, left))
        except TimeoutError:
            rate = f"it must come at {pace.bytes_per_second:g} bytes per second at least"
            message = f"The body did not arrive: it may pause for {pace.idle_seconds:g} s, and after so long {rate}."
            raise ApiError(408, Code.REQUEST_TIMEOUT, message) from None

    def _full(self, why: str) -> ApiError:
        return queue_full(why, self._drain.seconds_for(self.requests))


def _too_large(limit: int) -> ApiError:
    return ApiError(413, Code.REQUEST_TOO_LARGE, f"The body is larger than the {limit} bytes that are taken.")


def _check_transfer(request: Request) -> None:
    """Raise the 501 for a transfer coding that the parser leaves as it is."""
    given = request.whole_header(b"transfer-encoding")
    if given and given.strip().lower() != "chunked":
        taken = "only 'chunked' is taken. To compress, use 'Content-Encoding'"
        message = f"The header 'Transfer-Encoding' is {shorten(given)!r}; {taken}."
        raise ApiError(501, Code.UNSUPPORTED_MEDIA_TYPE, message)
