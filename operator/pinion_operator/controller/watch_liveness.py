"""When each watch last showed that it works: a connection that is half dead shows neither an error nor an event."""

import time
from collections.abc import Callable, Iterable

from ..resources.kinds import Kind


class WatchLiveness:
    """Remembers when each watch was last answered; a healthy one is made anew every `watch_seconds`."""

    def __init__(self, limit: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._now = limit, now  # seconds of silence after which a watch is called silent
        self._answers: dict[tuple[str, str], float] = {}  # when each was let through, by plural and namespace
        self._heard: dict[tuple[str, str], float] = {}  # and when it was answered at all

    def expect(self, kinds: Iterable[Kind], namespaces: Iterable[str]) -> None:
        """Begin to count for these; namespace "" = all of them together."""
        now = self._now()
        self._answers = {(kind.plural, namespace): now for namespace in namespaces for kind in kinds}
        self._heard = dict(self._answers)

    def ages(self) -> dict[str, float]:
        """Return the seconds since the last answer by plural, of the oldest of its namespaces."""
        return self._ages(self._answers)

    def silent(self) -> list[str]:
        """Return the plurals of watches that have been silent for too long; one that is refused is answered."""
        return sorted(plural for plural, age in self._ages(self._heard).items() if age > self._limit)

    def saw_answer(self, path: str, *, refused: bool = False) -> None:
        """Note an answer for a path like `/apis/apps/v1/namespaces/ml/deployments`."""
        *before, plural = path.split("/")
        key = (plural, before[-1] if before[-2:-1] == ["namespaces"] else "")
        if key in self._answers:  # else the memory would be bounded by what others ask
            self._heard[key] = self._now()
            if not refused:
                self._answers[key] = self._now()

    def _ages(self, times: dict[tuple[str, str], float]) -> dict[str, float]:
        now, ages = self._now(), dict[str, float]()
        for (plural, _), at in times.items():
            ages[plural] = max(now - at, ages.get(plural, 0.0))
        return ages
