"""The queue of a generating engine: bounded, fair between clients; what comes of a request is read while it comes."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from ..engines.protocol import Generate, Progress, Step, Steps, Worker
from ..errors import DeadlineExceeded, EngineError
from .deadlines import DeadlineTimer
from .refusals import QueueFull, RequestTooLarge
from .token_rate import TokenRate
from .turns import Turns

_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class PassStats:
    """One pass of an engine, for metrics."""

    wait_seconds: tuple[float, ...]  # of the requests that went to an engine since the last pass
    first_seconds: tuple[float, ...]  # from its arrival to its first token, of each answer that began with this pass
    next_seconds: tuple[float, ...]  # from one token to the next, of each answer that went on with it


@dataclass(slots=True, eq=False)
class _Request:
    message: Generate
    tokens: int  # that it is expected to take: its prompt, and all its answers
    arrived: float
    unfinished: int  # choices
    worker: Worker | None = None
    answered: int = 0  # tokens of its answers so far
    ended: bool = False
    failure: EngineError | None = None
    last: dict[int, float] = field(default_factory=dict)  # when the last token of each choice came
    steps: deque[Step] = field(default_factory=deque)  # that have come and were not read yet
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Generation:
    """The steps of one request as they come: an async iterator, and a context manager that gives up what is not finished."""

    def __init__(self, request: _Request, leave: Callable[[_Request], None]) -> None:
        self._request, self._leave = request, leave

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is not finished; the second time there is nothing left to."""
        self._leave(self._request)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step:
        """Return the next step; raise the EngineError that ended the request, behind all steps that came before it."""
        request = self._request
        while not request.steps:
            if request.failure is not None:
                raise request.failure
            if request.ended:
                raise StopAsyncIteration
            request.news.clear()
            await request.news.wait()
        return request.steps.popleft()


class SequenceQueue:
    """A WorkSource; belongs to one event loop.

    An engine's credits are the sequences it has room for; a request goes to an engine when all its choices have room, in the
    order that `Turns` says. Up to `max_running` requests are with engines, `max_waiting` more wait, and those that
    wait may take `max_tokens` tokens together.
    """

    def __init__(
        self, max_running: int, max_waiting: int, max_tokens: int, *, on_pass: Callable[[PassStats], None] | None = None
    ) -> None:
        self._max_running, self._max_waiting, self._max_tokens = max_running, max_waiting, max_tokens
        self._on_pass = on_pass
        self._waiting: Turns[_Request] = Turns()
        self._all: dict[int, _Request] = {}  # that wait or run, by key, the oldest first
        self._waiting_tokens = 0
        self._credits: dict[Worker, int] = {}
        self._held: dict[Worker, tuple[int, int]] = {}  # sequences, and places of the cache, after the last pass
        self._keys = itertools.count(1)
        self._waits: list[float] = []
        self._rate = TokenRate()
        self._timer = DeadlineTimer(self._expire)
        self._closed: EngineError | None = None

    @property
    def queued_requests(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running_requests(self) -> int:
        """Requests that are with an engine."""
        return len(self._all) - len(self._waiting)

    @property
    def running_sequences(self) -> int:
        """Sequences that the engines are generating."""
        return sum(running for running, _ in self._held.values())

    @property
    def used_tokens(self) -> int:
        """Places of the engines' caches that these take."""
        return sum(used for _, used in self._held.values())

    def set_limits(self, max_running: int, max_waiting: int, max_tokens: int) -> None:
        """Change the bounds; what is in stays in."""
        self._max_running, self._max_waiting, self._max_tokens = max_running, max_waiting, max_tokens
        self._pump()

    def retry_after(self) -> int:
        """Return the whole seconds in which what is in now will have drained, if every answer is as long as it may be."""
        return self._rate.retry_after(sum(max(0, request.tokens - request.answered) for request in self._all.values()))

    def check_room(self) -> None:
        """Raise QueueFull when no request could come in, however short: known before a body is looked at."""
        if self._closed is None and len(self._waiting) >= self._max_waiting and self._worker_now(1) is None:
            raise QueueFull(self.retry_after())

    def check_together(self, requests: Sequence[Generate], sequences: int, *, expected_tokens: int = 0) -> None:
        """Raise RequestTooLarge for requests that come as one, and would not all fit in were nothing else there.

        `sequences`: what engines have room for; `expected_tokens` as for `submit`.
        """
        most = max((request.choices for request in requests), default=1)
        waiting = requests[min(self._max_running, sequences // most) :]
        if len(waiting) > self._max_waiting:
            fit = len(requests) - len(waiting) + self._max_waiting
            raise RequestTooLarge(f"{len(requests)} prompts in one request are more than the {fit} that the whole queue takes")
        if (tokens := sum(_tokens_of(request, expected_tokens) for request in waiting)) > self._max_tokens:
            raise RequestTooLarge(_too_large(tokens, self._max_tokens))

    def submit(self, generate: Generate, *, expected_tokens: int = 0) -> Generation:
        """Let a request in; its key is chosen here.

        `expected_tokens` of each answer count for the bounds where nobody said how long it may be; 0 = the most it may have.
        Raises QueueFull, RequestTooLarge, DeadlineExceeded, or the error that the queue was closed with.
        """
        tokens = _tokens_of(generate, expected_tokens)
        now = time.monotonic()
        self._admit(generate, tokens, now)
        key = next(self._keys)
        request = _Request(msgspec.structs.replace(generate, key=key), tokens, now, unfinished=generate.choices)
        self._all[key] = request
        self._waiting.add(generate.owner, key, request)
        self._waiting_tokens += tokens
        self._timer.arm(generate.deadline)
        self._pump()
        return Generation(request, self._leave)

    # --- a WorkSource

    def grant(self, worker: Worker, credits: int) -> None:
        """Take note that the worker has room for so many more sequences."""
        self._credits[worker] = self._credits.get(worker, 0) + credits
        self._pump()

    def finish(self, worker: Worker, steps: Progress) -> None:
        """Give what came to those who wait for it."""
        if not isinstance(steps, Steps):
            raise TypeError(f"{type(steps).__name__} came of a prompt")
        now = time.monotonic()
        answered = 0
        first: list[float] = []
        following: list[float] = []
        for step in steps.steps:
            request = self._all.get(step.key)
            if request is None or request.worker is not worker:
                continue  # it was given up
            tokens = len(step.ids) // _ID_BYTES
            answered += tokens
            request.answered += tokens
            if tokens:
                before = request.last.get(step.choice)
                (first if before is None else following).append(now - (request.arrived if before is None else before))
                request.last[step.choice] = now
            if step.failure is not None:
                self._end(request, step.failure.to_error())
                continue
            request.unfinished -= bool(step.finish)
            request.steps.append(step)
            if not request.unfinished:
                self._end(request)
            request.news.set()
        if worker in self._credits:
            self._credits[worker] += steps.credits
            self._held[worker] = steps.running, steps.used_tokens
        if answered:
            self._rate.done(answered, now - steps.seconds, now)
        self._pump()
        if self._on_pass is not None:
            waits, self._waits = tuple(self._waits), []
            times = (waits, tuple(first), tuple(following))
            self._on_pass(PassStats(*times))

    def lose(self, worker: Worker, error: EngineError) -> None:
        """Fail what the worker held; it is gone, and its credits with it."""
        self._credits.pop(worker, None)
        self._held.pop(worker, None)
        for request in [request for request in self._all.values() if request.worker is worker]:
            self._end(request, error)
        self._pump()

    def close(self, error: EngineError) -> None:
        """Fail everything that is in, and refuse what comes."""
        self._closed = error
        for request in list(self._all.values()):
            self._give_up(request, error)
        self._timer.close()

    # --- the way in

    def _admit(self, generate: Generate, tokens: int, now: float) -> None:
        """Raise when a request can't come in."""
        if self._closed is not None:
            raise self._closed
        if tokens > self._max_tokens:
            raise RequestTooLarge(_too_large(tokens, self._max_tokens))
        if generate.deadline <= now:
            raise DeadlineExceeded("the deadline passed before the request was queued")
        if self._worker_now(generate.choices) is not None:
            return
        if len(self._waiting) >= self._max_waiting or self._waiting_tokens + tokens > self._max_tokens:
            raise QueueFull(self.retry_after())

    def _worker_now(self, choices: int) -> Worker | None:
        """Return an engine that would take a new request at once, before which none waits."""
        return None if len(self._waiting) else self._worker_for(choices)

    def _worker_for(self, choices: int) -> Worker | None:
        """Return an engine that has room for all choices of a request now: the one with the most room."""
        if self.running_requests >= self._max_running:
            return None
        worker = max(self._credits, key=lambda each: self._credits[each], default=None)
        return worker if worker is not None and self._credits[worker] >= choices else None

    def _pump(self) -> None:
        """Send what is next while there is room for it."""
        while (request := self._waiting.first()) is not None:
            message = request.message
            worker = self._worker_for(message.choices)
            if worker is None:
                return
            self._stop_waiting(request)
            request.worker = worker
            self._waiting.begin(message.owner, message.choices)
            self._credits[worker] -= message.choices
            self._waits.append(time.monotonic() - request.arrived)
            worker.send(message)

    # --- the way out

    def _leave(self, request: _Request) -> None:
        """Take note that nobody reads what comes of a request any more."""
        self._give_up(request, None)

    def _give_up(self, request: _Request, error: EngineError | None) -> None:
        """End a request before its time, and tell the engine that has it."""
        if not request.ended:
            self._end(request, error)
            if request.worker is not None:
                request.worker.cancel([request.message.key])

    def _end(self, request: _Request, error: EngineError | None = None) -> None:
        """Forget a request, of which no more comes than what has come."""
        request.ended, request.failure = True, error
        del self._all[request.message.key]
        if request.worker is None:
            self._stop_waiting(request)
        else:
            self._waiting.end(request.message.owner, request.message.choices)
        request.news.set()

    def _stop_waiting(self, request: _Request) -> None:
        if self._waiting.remove(request.message.owner, request.message.key):
            self._waiting_tokens -= request.tokens

    def _expire(self, now: float) -> float | None:
        """Fail every request whose deadline has passed, wherever it is; return the next deadline."""
        for request in [each for each in self._all.values() if each.message.deadline <= now]:
            where = "while it was computed" if request.worker else f"after {now - request.arrived:.1f} s in the queue"
            self._give_up(request, DeadlineExceeded(f"the deadline passed {where}"))
        self._pump()
        return min((request.message.deadline for request in self._all.values()), default=None)


def _tokens_of(generate: Generate, expected: int) -> int:
    """Return how many tokens a request may come to, with its prompt; `expected` of each answer, 0 = the most it may have."""
    return len(generate.prompt) // _ID_BYTES + generate.choices * min(expected or generate.max_tokens, generate.max_tokens)


def _too_large(tokens: int, most: int) -> str:
    return f"a request of up to {tokens} tokens is larger than the whole queue of {most}"
