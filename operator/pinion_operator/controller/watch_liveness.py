"""When each watch last showed that it works: a connection that is half dead shows neither an error nor an event."""

import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import aiohttp

from ..resources.kinds import Kind


class WatchLiveness:
    """Remembers when each watch was last answered; a healthy one is made anew every `watch_seconds`."""

    def __init__(self, limit: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._now = limit, now  # seconds of silence after which a watch is called silent
        self._answers: dict[tuple[str, str], float] = {}  # by plural and namespace

    def expect(self, kinds: Iterable[Kind], namespaces: Iterable[str]) -> None:
        """Begin to count for these; namespace "" = all of them together."""
        now = self._now()
        self._answers = {(kind.plural, namespace): now for namespace in namespaces for kind in kinds}

    def trace(self) -> aiohttp.TraceConfig:
        """Return what a session needs so that its answers are heard here."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        return trace

    def ages(self) -> dict[str, float]:
        """Return the seconds since the last answer by plural, of the oldest of its namespaces."""
        now, ages = self._now(), dict[str, float]()
        for (plural, _), at in self._answers.items():
            ages[plural] = max(now - at, ages.get(plural, 0.0))
        return ages

    def silent(self) -> list[str]:
        """Return the plurals of watches that have been silent for too long."""
        return sorted(plural for plural, age in self.ages().items() if age > self._limit)

    async def _answered(self, _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        if end.response.status == 200 and end.url.query.get("watch") == "true":
            self.saw_answer(end.url.path)

    def saw_answer(self, path: str) -> None:
        """Note an answer for a path like `/apis/apps/v1/namespaces/ml/deployments`."""
        *before, plural = path.split("/")
        key = (plural, before[-1] if before[-2:-1] == ["namespaces"] else "")
        if key in self._answers:  # else the memory would be bounded by what others ask
            self._answers[key] = self._now()
