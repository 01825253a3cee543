"""The log of what is refused before it is a request: anybody can cause it, so that it is bounded."""

import logging
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)
_MOST = 20  # lines in a window
_WINDOW_SECONDS = 10.0


class RefusalLog:
    """Logs at most 20 lines in 10 s, and then how many there would have been more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._lines = 0

    def refused(self, peer: str, message: str) -> None:
        """Log that a connection of `peer` was refused."""
        now = self._clock()
        if now - self._began >= _WINDOW_SECONDS:
            if self._lines > _MOST:
                _log.warning("refused %d more connections, which are not listed", self._lines - _MOST)
            self._began, self._lines = now, 0
        self._lines += 1
        if self._lines <= _MOST:
            _log.warning("refused a connection of %s: %s", peer, message)
