"""A queue of Refs: deduplicating, delaying, backing off per Ref; a Ref is never with two workers at once."""

import asyncio
import random
from collections.abc import Callable

from ..resources.kinds import Ref

SHORTEST, LONGEST = 0.2, 60.0  # seconds of backoff


class WorkQueue:
    """What is to be looked at. `add` never blocks: its size is bounded by the objects that exist."""

    def __init__(self, *, on_wait: Callable[[float], None] = lambda _: None) -> None:
        self._ready: asyncio.Queue[Ref | None] = asyncio.Queue()
        self._wanted: dict[Ref, float] = {}  # due since, and not yet started
        self._active: set[Ref] = set()
        self._timers: dict[Ref, asyncio.TimerHandle] = {}
        self._failures: dict[Ref, int] = {}
        self._held: dict[Ref, float] = {}  # not before that time, whatever happens meanwhile
        self._on_wait = on_wait
        self._closed = False

    @property
    def depth(self) -> int:
        """How many are due and wait for a worker."""
        return len(self._wanted)

    @property
    def delayed(self) -> int:
        """How many are due later."""
        return len(self._timers)

    def add(self, ref: Ref, after: float = 0.0) -> None:
        """Ask for a look, now or in so many seconds. The earliest wish wins: a run now serves a later one too."""
        if self._closed:
            return
        loop, timer = asyncio.get_running_loop(), self._timers.get(ref)
        if (wait := self._held.get(ref, 0.0) - loop.time()) > 0:
            after = max(after, wait)
        else:
            self._held.pop(ref, None)
        if after > 0 and timer and timer.when() <= loop.time() + after:
            return
        if timer:
            self._timers.pop(ref).cancel()
        if after > 0:
            self._timers[ref] = loop.call_later(after, self.add, ref)
        elif ref not in self._wanted:
            self._wanted[ref] = loop.time()
            if ref not in self._active:
                self._ready.put_nowait(ref)

    async def get(self) -> Ref | None:
        """Return the next, or None once the queue is closed."""
        ref = await self._ready.get()
        if self._closed or ref is None:
            self._ready.put_nowait(None)  # wakes the next worker
            return None
        self._on_wait(asyncio.get_running_loop().time() - self._wanted.pop(ref))
        self._active.add(ref)
        return ref

    def done(self, ref: Ref, *, after: float | None = None, hold: float = 0.0) -> None:
        """Give back what `get` returned; look again in `after` seconds, or when something happens, but not within `hold`."""
        self._failures.pop(ref, None)
        if hold:
            self._hold(ref, hold)
        self._give_back(ref, after)

    def failed(self, ref: Ref, *, at_least: float = 0.0, hold: bool = False) -> float:
        """Give back what `get` returned and try again after a time that grows with each failure in a row; return that time.

        An event makes it earlier, unless `hold`: then nothing comes before `at_least`, since somebody asked us to wait.
        """
        failures = self._failures.get(ref, 0)
        self._failures[ref] = failures + 1
        after = max(at_least, min(LONGEST, SHORTEST * 2.0 ** min(failures, 16)) * random.uniform(0.75, 1.25))
        if hold and at_least > 0:
            self._hold(ref, at_least)
        self._give_back(ref, after)
        return after

    def failures(self) -> dict[Ref, int]:
        """Return how often in a row each has failed, of those whose last pass did."""
        return dict(self._failures)

    def close(self) -> None:
        """Hand out nothing more; workers that wait are told so."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.put_nowait(None)

    def _hold(self, ref: Ref, seconds: float) -> None:
        """Let nothing come before so many seconds have passed."""
        self._held[ref] = asyncio.get_running_loop().time() + seconds
        self._wanted.pop(ref, None)

    def _give_back(self, ref: Ref, after: float | None) -> None:
        self._active.discard(ref)
        if ref in self._wanted:
            self._ready.put_nowait(ref)
        elif after is not None:
            self.add(ref, after)
