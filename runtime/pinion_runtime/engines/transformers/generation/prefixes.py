"""Which row a new sequence is put in, and whose keys and values it begins with. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

# A shorter common beginning costs less to compute than the row is worth that it would take.
LEAST = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A row as a new sequence sees it."""

    free: bool
    tokens: Sequence[int]  # computed
    owner: str
    used: int  # the larger, the later it was used


@dataclass(frozen=True, slots=True)
class Start:
    """The row that is taken, and the row whose first `shared` tokens are there already or are copied."""

    row: int
    source: int
    shared: int


def choose_start(places: Sequence[Place], prompt: Sequence[int], owner: str) -> Start | None:
    """Return where a prompt begins, None when no row is free.

    The last token is always computed: the first choice depends on its logits. A free row is taken over; what most of it
    would be lost by that is copied instead, into the row that has not been used for longest.
    """
    free = [row for row, place in enumerate(places) if place.free]
    if not free:
        return None
    oldest = min(free, key=lambda row: (bool(places[row].tokens), places[row].used))
    shared = [common(place.tokens, prompt, len(prompt) - 1) if place.owner == owner else 0 for place in places]
    source = max(range(len(places)), key=lambda row: (shared[row], places[row].free, places[row].used))
    if shared[source] < LEAST:
        return Start(oldest, oldest, 0)
    take_over = places[source].free and 2 * shared[source] >= len(places[source].tokens)
    return Start(source if take_over else oldest, source, shared[source])


def common(one: Sequence[int], other: Sequence[int], limit: int) -> int:
    """Return how many tokens both begin with, at most `limit`."""
    limit = min(limit, len(one), len(other))
    return next((place for place in range(limit) if one[place] != other[place]), limit)
