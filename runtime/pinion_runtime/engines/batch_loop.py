"""What an engine of vectors does once it is loaded: batches, one after the other."""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from .channel import Channel
from .memory import measure_memory
from .protocol import Batch, Cancel, Done, Generate, Load, Outcome, Shutdown, ToEngine
from .resident import Trim


class Run(Protocol):
    """One batch that is computed."""

    padded_tokens: int

    def run(self) -> list[Outcome]:
        """Compute it."""


def compute_batches(
    channel: Channel, trim: Trim, begin: Callable[[Batch, Callable[[], set[int]]], Run], device_bytes: Callable[[], int]
) -> None:
    """Compute what comes until the front wants no more; `begin` gets a batch, and who asks which requests are cancelled."""
    work = Work(channel, trim)
    while (batch := work.next()) is not None:
        started = time.monotonic()
        run = begin(batch, work.cancelled)
        outcomes = run.run()
        seconds = time.monotonic() - started
        channel.send(Done(batch.number, outcomes, seconds, run.padded_tokens, measure_memory(device_bytes())))
        work.forget()
        trim.after_work()


class Work:
    """Messages that have arrived: batches in order, and the requests nobody waits for."""

    def __init__(self, channel: Channel, trim: Trim) -> None:
        self._channel = channel
        self._trim = trim
        self._batches: deque[Batch] = deque()
        self._cancelled: set[int] = set()
        self._stopping = False

    def next(self) -> Batch | None:
        """Wait for a batch; None = the front wants no more."""
        while not self._batches and not self._stopping:
            if self._channel.ready(self._trim.seconds_left()):
                self._take(self._channel.receive())
            else:
                self._trim.perhaps()
        if not self._batches:
            return None
        return self._batches.popleft()

    def cancelled(self) -> set[int]:
        """Return the cancelled requests, those included whose message has only now arrived."""
        while self._channel.ready():
            self._take(self._channel.receive())
        return self._cancelled

    def forget(self) -> None:
        """Forget cancellations once no batch is left that could hold one of them."""
        if not self._batches:
            self._cancelled.clear()

    def _take(self, message: ToEngine) -> None:
        match message:
            case Batch():
                self._batches.append(message)
            case Cancel():
                self._cancelled.update(message.keys)
            case Shutdown():
                self._stopping = True
            case Load() | Generate():
                raise RuntimeError(f"{type(message).__name__} arrived where batches are computed")
