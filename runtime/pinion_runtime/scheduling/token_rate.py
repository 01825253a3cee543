"""How fast a queue drains, and so when there will be room; pure, told the time."""

import math

_RETRY_AFTER = (1, 120)  # seconds, shortest and longest
_UNKNOWN_RETRY_AFTER = 5  # before anything has told how fast the queue drains
_WEIGHT = 0.2  # of the newest piece of work in the moving rate


class TokenRate:
    """Tokens per second, smoothed."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._last_done = 0.0

    def done(self, tokens: int, begun: float, now: float) -> None:
        """Take note of work of so many tokens that an engine began at `begun`, or when it had done the one before."""
        rate = tokens / max(1e-4, now - max(begun, self._last_done))
        self._rate = rate if not self._rate else self._rate + _WEIGHT * (rate - self._rate)
        self._last_done = now

    def retry_after(self, tokens: int) -> int:
        """Return the whole seconds in which so many tokens will have drained."""
        if not self._rate:
            return _UNKNOWN_RETRY_AFTER
        return max(_RETRY_AFTER[0], min(_RETRY_AFTER[1], math.ceil(tokens / self._rate)))
