"""Waiting between tries."""

import random

_FIRST_SECONDS = 1.0
_MOST_SECONDS = 60.0
_LONGEST_ASKED_SECONDS = 300.0  # a source that asks for more is asked again all the same


def delay_seconds(attempt: int, asked: float | None = None) -> float:
    """Return how long to wait after this attempt (0 first): doubling, with jitter, unless the other side `asked` for a time."""
    if asked is not None:
        return min(max(asked, 0.1), _LONGEST_ASKED_SECONDS)
    limit = min(_MOST_SECONDS, _FIRST_SECONDS * 2 ** min(attempt, 10))
    return random.uniform(limit / 2, limit)
