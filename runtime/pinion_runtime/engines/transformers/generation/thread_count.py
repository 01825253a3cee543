"""With how many threads passes are computed, by how long threads had to wait for a processor. Pure.

Threads that meet after every product gain where each has a processor. Where other programs have their turns there too, all wait
for the one that has none, and fewer are done sooner: beside one busy program on two processors a pass of two threads took four
times as long as one of a single thread, and alone three fifths of it.
"""

_EVERY = 4  # passes, of which one is looked at
_WAITED = 0.2  # of a pass; alone on a machine it is a hundredth, beside a busy program a third to a half
_TWICE = 2  # passes in a row of too long a wait: one alone may have been an accident
_GAP, _MOST_GAP = 32, 256  # passes with fewer threads until more are tried again; twice as many each time that was too early


class ThreadCount:
    """Halves the number of threads while they wait for processors, and doubles it when that is over."""

    def __init__(self, most: int) -> None:
        self._most = self.now = most
        self._gap = 0  # 0: none has waited too long for a while
        self._passes = 0  # since the number changed
        self._late = 0  # passes in a row in which one waited too long
        self._next = 0  # the pass that is looked at next

    @property
    def looks(self) -> bool:
        """Tell whether the next pass is one of those whose waits are measured."""
        return self.now > 1 and self._passes >= self._next

    def computed(self, waited: float | None) -> None:
        """Take note of a pass, and of the largest share of it that one thread waited, where that was measured."""
        self._passes += 1
        if waited is not None:
            late = waited > _WAITED
            self._late = self._late + 1 if late else 0
            self._next = self._passes if late else self._passes + _EVERY - 1
        if self._late == _TWICE:
            self._gap = min(_MOST_GAP, 2 * self._gap or _GAP)
            self._set(max(1, self.now // 2))
        elif self.now < self._most and self._passes >= self._gap:
            self._set(min(self._most, 2 * self.now))
        elif self._passes >= _MOST_GAP:
            self._gap = 0

    def rested(self) -> None:
        """Take note that nothing was computed for a while: what was in the way may be gone, so all threads are tried."""
        self._gap = 0
        self._set(self._most)

    def _set(self, count: int) -> None:
        self.now, self._passes, self._late, self._next = count, 0, 0, 0
