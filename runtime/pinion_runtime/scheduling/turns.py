"""Whose request is next: that of the client with the fewest sequences under way, and of those the oldest; no clock, no engine.

A client with a hundred requests has one turn where another has its first, so that nobody starves; the requests of one client go
in the order they came. None is passed by one that needs less room: one with many choices would never begin.
"""

from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Requests that wait, by owner and key; keys ascend in the order requests came."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, T]] = {}
        self._running: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, owner: str, key: int, request: T) -> None:
        """Let a request wait."""
        self._waiting.setdefault(owner, {})[key] = request
        self._count += 1

    def remove(self, owner: str, key: int) -> bool:
        """Let a request wait no more; return False when it did not."""
        own = self._waiting.get(owner, {})
        if own.pop(key, None) is None:
            return False
        if not own:
            del self._waiting[owner]
        self._count -= 1
        return True

    def begin(self, owner: str, sequences: int) -> None:
        """Take note that so many sequences of this owner are under way."""
        self._running[owner] += sequences

    def end(self, owner: str, sequences: int) -> None:
        """Take note that so many of them have ended."""
        self._running[owner] -= sequences
        if not self._running[owner]:
            del self._running[owner]

    def first(self) -> T | None:
        """Return the request that is next, None when none waits; it goes on waiting."""
        if not self._waiting:
            return None
        owner = min(self._waiting, key=lambda each: (self._running[each], next(iter(self._waiting[each]))))
        return next(iter(self._waiting[owner].values()))
