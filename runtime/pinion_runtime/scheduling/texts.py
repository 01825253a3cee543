"""The only queue: bounded by requests and tokens, with deadlines, shared fairly; engines pull from it with credits."""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..engines.protocol import Batch, Done, Part, Progress, Worker
from ..engines.token_bytes import int32_bytes
from ..errors import DeadlineExceeded, EngineDied, EngineError
from .deadlines import DeadlineTimer
from .refusals import QueueFull, RequestTooLarge
from .sharing import Sharing
from .token_rate import TokenRate

_BATCHES_OF_TOKENS = 64  # the queue holds this many batches' worth of tokens, unless told otherwise


@dataclass(frozen=True, slots=True)
class Result:
    """Vectors in the order of the texts, each little-endian float32, and the tokens they took."""

    vectors: list[bytes]
    tokens: int


@dataclass(frozen=True, slots=True)
class BatchStats:
    """One finished batch, for metrics."""

    requests: int
    texts: int
    tokens: int
    padded_tokens: int
    compute_seconds: float
    wait_seconds: tuple[float, ...]  # of each request that began with this batch


@dataclass(slots=True, eq=False)
class _Request:
    key: int
    request_id: str
    texts: list[bytes]  # int32 ids
    lengths: list[int]
    tokens: int
    deadline: float
    arrived: float
    done: asyncio.Future[None]
    vectors: list[bytes | None]
    missing: int  # vectors that have not come
    skip: int = 0  # tokens at the head of each text that are not pooled
    sent: int = 0  # texts handed to engines
    had: int = 0  # tokens handed to engines, as the sharing counts them
    out: int = 0  # batches with engines that hold a part of it
    holders: set[Worker] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Sent:
    """A batch with an engine: which texts of which requests."""

    slices: list[tuple[_Request, int, int]]
    texts: int
    tokens: int
    at: float
    waits: tuple[float, ...]


class RequestQueue:
    """A WorkSource; belongs to one event loop.

    Up to `max_concurrent` requests have parts with engines at a time, `max_queued` more wait. A batch has at most
    `max_batch_tokens` tokens, or one text, and is shared by those that wait; `max_tokens` bounds what the queue holds in all
    (0 = 64 batches).
    """

    def __init__(
        self,
        max_concurrent: int,
        max_queued: int,
        max_batch_tokens: int = 2048,
        *,
        max_tokens: int = 0,
        on_batch: Callable[[BatchStats], None] | None = None,
    ) -> None:
        self._max_concurrent, self._max_queued = max_concurrent, max_queued
        self._max_batch_tokens = max_batch_tokens
        self._max_tokens = max_tokens or _BATCHES_OF_TOKENS * max_batch_tokens
        self._on_batch = on_batch
        self._new: dict[int, _Request] = {}  # no part has been with an engine; oldest first
        self._begun: dict[int, _Request] = {}  # a part is, or was, with an engine, and texts are left
        self._running: dict[int, _Request] = {}  # a part is, or was, with an engine; those of `_begun` too
        self._out = 0  # requests with a part with an engine now
        self._sharing = Sharing(max_batch_tokens)
        self._tokens = 0  # of all requests that are in
        self._sent: dict[tuple[Worker, int], _Sent] = {}
        self._idle: deque[Worker] = deque()  # one entry per credit
        self._keys, self._numbers = itertools.count(1), itertools.count(1)
        self._rate = TokenRate()
        self._timer = DeadlineTimer(self._expire)
        self._closed: EngineError | None = None

    @property
    def queued_requests(self) -> int:
        """Requests no part of which is with an engine."""
        return len(self._new)

    @property
    def running_requests(self) -> int:
        """Requests of which a part is, or was, with an engine."""
        return len(self._running)

    def set_limits(self, max_concurrent: int, max_queued: int, max_tokens: int = 0) -> None:
        """Change the bounds, that of tokens unless it is 0; what is in stays in."""
        self._max_concurrent, self._max_queued = max_concurrent, max_queued
        self._max_tokens = max_tokens or self._max_tokens
        self._pump()

    def retry_after(self) -> int:
        """Return the whole seconds in which what is in now will have drained."""
        return self._rate.retry_after(self._tokens)

    async def submit(self, texts: Sequence[Sequence[int]], *, deadline: float, request_id: str = "", skip: int = 0) -> Result:
        """Wait for the vectors of token id lists; `deadline` in time.monotonic(). The pooling leaves the first `skip` ids out.

        Raises QueueFull, RequestTooLarge, DeadlineExceeded, EngineDied, NonFiniteResult, ComputeFailed.
        Cancelling drops the work.
        """
        lengths = [len(text) for text in texts]
        tokens = sum(lengths)
        self._admit(tokens)
        if not lengths:
            return Result([], 0)
        now = time.monotonic()
        if deadline <= now:
            raise DeadlineExceeded("the deadline passed before the request was queued")
        request = _Request(
            key=next(self._keys),
            request_id=request_id,
            texts=[int32_bytes(text) for text in texts],
            lengths=lengths,
            tokens=tokens,
            deadline=deadline,
            arrived=now,
            done=asyncio.get_running_loop().create_future(),
            vectors=[None] * len(lengths),
            missing=len(lengths),
            skip=skip,
        )
        self._new[request.key] = request
        self._tokens += tokens
        self._timer.arm(deadline)
        self._pump()
        try:
            await request.done
        except asyncio.CancelledError:
            self._leave(request)
            if request.done.done() and not request.done.cancelled():
                request.done.exception()  # it failed at the same moment; nobody will ask again
            raise
        return Result([vector for vector in request.vectors if vector is not None], tokens)

    # --- a WorkSource

    def grant(self, worker: Worker, credits: int) -> None:
        """Take note that the worker can take this many more batches."""
        self._idle.extend([worker] * credits)
        self._pump()

    def finish(self, worker: Worker, done: Progress) -> None:
        """Give the results of a batch to those who wait for them."""
        if not isinstance(done, Done):
            raise TypeError(f"{type(done).__name__} came of a batch of texts")
        sent = self._sent.pop((worker, done.number), None)
        self._idle.extend([worker] * done.credits)
        if sent is not None:
            self._rate.done(sent.tokens, sent.at, time.monotonic())
            outcomes = {outcome.key: outcome for outcome in done.outcomes}
            for request, start, stop in sent.slices:
                self._back(request)
                outcome = outcomes.get(request.key)
                if outcome is None:
                    self._fail(request, EngineDied("the engine gave no outcome"))
                elif outcome.failure is not None:
                    self._fail(request, outcome.failure.to_error())
                else:
                    self._deliver(request, start, stop, outcome.vectors)
        self._pump()
        if sent is not None and self._on_batch is not None:
            stats = BatchStats(len(sent.slices), sent.texts, sent.tokens, done.padded_tokens, done.seconds, sent.waits)
            self._on_batch(stats)

    def lose(self, worker: Worker, error: EngineError) -> None:
        """Fail what the worker held; it is gone, and its credits with it."""
        self._idle = deque(idle for idle in self._idle if idle is not worker)
        for held in [held for held in self._sent if held[0] is worker]:
            for request, _, _ in self._sent.pop(held).slices:
                self._back(request)
                request.holders.discard(worker)
                self._fail(request, error)
        self._pump()

    def close(self, error: EngineError) -> None:
        """Fail everything that is in, and refuse what comes."""
        self._closed = error
        for request in [*self._new.values(), *self._running.values()]:
            self._fail(request, error)
        self._timer.close()

    # --- the way in

    def _admit(self, tokens: int) -> None:
        """Raise when a request can't come in."""
        if self._closed is not None:
            raise self._closed
        if tokens > self._max_tokens:
            raise RequestTooLarge(f"a request of {tokens} tokens is larger than the whole queue of {self._max_tokens}")
        requests = len(self._new) + len(self._running)
        if requests >= self._max_concurrent + self._max_queued or self._tokens + tokens > self._max_tokens:
            raise QueueFull(self.retry_after())

    # --- the way out

    def _pump(self) -> None:
        """Give every idle worker its share of what waits, at once."""
        while self._idle and (self._new or self._begun):
            batch = self._form(self._idle[0])
            if batch is None:
                return
            self._idle.popleft().send(batch)

    def _form(self, worker: Worker) -> Batch | None:
        """Make the next batch of what waits; None when nothing may go."""
        now = time.monotonic()
        for request in [request for request in (*self._new.values(), *self._begun.values()) if request.deadline <= now]:
            self._fail(request, _too_late(request, now))
        more = max(0, self._max_concurrent - self._out)
        inside = sum(1 for request in self._begun.values() if request.out)
        outside = len(self._new) + len(self._begun) - inside
        share = math.ceil((inside + min(more, outside)) / len(set(self._idle)))
        chosen = self._sharing.choose(self._new.values(), self._begun.values(), share, more)
        if not chosen:
            return None
        slices: list[tuple[_Request, int, int]] = []
        parts: list[Part] = []
        lengths: list[int] = []
        tokens: list[bytes] = []
        waits: list[float] = []
        for key, texts in chosen.items():
            request = self._new[key] if key in self._new else self._begun[key]
            start, stop = request.sent, request.sent + texts
            used = sum(request.lengths[start:stop])
            slices.append((request, start, stop))
            parts.append(Part(request.key, request.request_id, request.deadline, texts, used, request.skip))
            lengths += request.lengths[start:stop]
            tokens += request.texts[start:stop]
            if not start:
                waits.append(now - request.arrived)
            self._begin(request, stop, worker)
        number = next(self._numbers)
        self._sent[worker, number] = _Sent(slices, len(lengths), sum(lengths), now, tuple(waits))
        return Batch(number, parts, int32_bytes(lengths), b"".join(tokens))

    def _begin(self, request: _Request, stop: int, worker: Worker) -> None:
        """Note that the texts up to `stop` are with an engine."""
        if self._new.pop(request.key, None) is not None:
            self._running[request.key] = self._begun[request.key] = request
        request.sent = stop
        request.holders.add(worker)
        self._out += not request.out
        request.out += 1
        if stop == len(request.lengths):
            del self._begun[request.key]

    def _back(self, request: _Request) -> None:
        """Note that an engine holds one part less of it."""
        request.out -= 1
        self._out -= not request.out

    def _deliver(self, request: _Request, start: int, stop: int, vectors: bytes) -> None:
        if request.done.done():
            return
        size = len(vectors) // (stop - start)
        request.vectors[start:stop] = [vectors[at : at + size] for at in range(0, len(vectors), size)]
        request.missing -= stop - start
        if not request.missing:
            request.done.set_result(None)
            self._remove(request)

    def _fail(self, request: _Request, error: EngineError) -> None:
        if not request.done.done():
            request.done.set_exception(error)
            self._leave(request)

    def _leave(self, request: _Request) -> None:
        """Take a request out that ends early, and tell the engines that hold a part of it."""
        if self._remove(request):
            for worker in request.holders:
                worker.cancel([request.key])

    def _remove(self, request: _Request) -> bool:
        """Forget a request; return False when that was done before."""
        self._begun.pop(request.key, None)
        known = self._new.pop(request.key, None) or self._running.pop(request.key, None)
        if known is not None:
            self._tokens -= request.tokens
        return known is not None

    # --- time

    def _expire(self, now: float) -> float | None:
        """Fail every request whose deadline has passed, wherever it is; return the next deadline."""
        requests = [*self._new.values(), *self._running.values()]
        for request in requests:
            if request.deadline <= now:
                self._fail(request, _too_late(request, now))
        self._pump()
        return min((request.deadline for request in requests if request.deadline > now), default=None)


def _too_late(request: _Request, now: float) -> DeadlineExceeded:
    where = "while it was computed" if request.sent else f"after {now - request.arrived:.1f} s in the queue"
    return DeadlineExceeded(f"the deadline passed {where}")
