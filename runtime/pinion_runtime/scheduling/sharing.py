"""Which texts of which requests make the next batch; no clock, no engine.

Requests that wait share each batch, so that a small one does not wait for the whole of a large one:

* Up to half of a batch goes to requests that have not begun, one text of each, in the order they came. A new one of one text
  is therefore in the next batch, however many large ones are under way; where there are many new ones, in one of the next.
* The rest goes to those that have begun, a text at a time to the one that has had the fewest tokens. Who begins counts as one
  that has had as much as the least of the others: nobody has to catch up, and nobody starves.

What one of them leaves over the other takes.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Protocol


class Sharer(Protocol):
    """A request as the sharing sees it."""

    @property
    def key(self) -> int:
        """Ascends in the order requests came."""

    @property
    def lengths(self) -> list[int]:
        """The tokens of each text."""

    @property
    def sent(self) -> int:
        """How many texts are with engines, or were."""

    @property
    def out(self) -> int:
        """How many batches with engines hold a part of it now."""

    had: int  # tokens it has had; kept here


class Sharing:
    """Remembers whose turn it is. A batch has at most `budget` tokens, or one text."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._level = 0  # what the one with the fewest has had
        self._owed = False  # the last batch held new requests alone, though others waited

    def choose(self, new: Iterable[Sharer], begun: Iterable[Sharer], most: int, most_more: int) -> dict[int, int]:
        """Return how many more texts of which request (by key) make the next batch; {} when nothing may go.

        `new` are requests no text of which has been sent, in the order they came; `begun` those that have texts left. The batch
        holds at most `most` requests, and at most `most_more` that are not with an engine now.
        """
        begun = list(begun)
        self._level = min((request.had for request in begun), default=self._level)
        batch = _Batch(self._budget, most, most_more)
        entering = iter(new)
        if self._owed:
            batch.fill(begun)
        entered = self._enter(batch, entering, self._budget // 2 if begun else self._budget)
        batch.fill([*begun, *entered])
        batch.fill(self._enter(batch, entering, self._budget))
        self._owed = bool(begun) and not any(request.key in batch.texts for request in begun)
        return batch.texts

    def _enter(self, batch: "_Batch", entering: Iterator[Sharer], most_tokens: int) -> list[Sharer]:
        """Take one text of each new request until there are so many tokens; return the requests."""
        entered: list[Sharer] = []
        while batch.tokens < most_tokens and (request := next(entering, None)) is not None:
            had, request.had = request.had, self._level
            if not batch.take(request):
                request.had = had
                break
            entered.append(request)
        return entered


class _Batch:
    """A batch that is being put together."""

    def __init__(self, budget: int, most: int, most_more: int) -> None:
        self._budget, self._most, self._most_more = budget, most, most_more
        self.tokens = 0
        self.texts: dict[int, int] = {}  # by key, in the order they were taken

    def take(self, request: Sharer) -> bool:
        """Take the next text of a request; return False when there is none or no room. One longer than a batch goes alone."""
        taken = self.texts.get(request.key, 0)
        place = request.sent + taken
        if place >= len(request.lengths):
            return False
        length = request.lengths[place]
        if self.texts and self.tokens + length > self._budget:
            return False
        if not taken:
            if len(self.texts) >= self._most or (not request.out and not self._most_more):
                return False
            self._most_more -= not request.out
        self.texts[request.key] = taken + 1
        self.tokens += length
        request.had += length
        return True

    def fill(self, requests: Iterable[Sharer]) -> None:
        """Take texts of these until nothing fits, always of the one that has had the fewest tokens."""
        heap = [(request.had, request.key, request) for request in requests]
        heapq.heapify(heap)
        while heap and self.tokens < self._budget:
            _, key, request = heap[0]
            if self.take(request):
                heapq.heapreplace(heap, (request.had, key, request))
            else:
                heapq.heappop(heap)
