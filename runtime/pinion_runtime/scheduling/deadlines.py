"""One timer for all deadlines of a queue: one per request would cost more than the requests."""

import asyncio
import time
from collections.abc import Callable


class DeadlineTimer:
    """Calls `expire` with the time at the earliest deadline; that returns the next one, None when there is none."""

    def __init__(self, expire: Callable[[float], float | None]) -> None:
        self._expire = expire
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, deadline: float) -> None:
        """Wake at this deadline (of time.monotonic) too."""
        loop = asyncio.get_running_loop()
        when = loop.time() + (deadline - time.monotonic())
        if self._handle is not None:
            if self._handle.when() <= when:
                return
            self._handle.cancel()
        self._handle = loop.call_at(when, self._wake)

    def close(self) -> None:
        """Wake no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake(self) -> None:
        self._handle = None
        following = self._expire(time.monotonic())
        if following is not None:
            self.arm(following)
