"""How far a fetch is: bytes by source, a rate over the last seconds, an estimate of what is left."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

SourceType = Literal["Store", "Peer", "Backend", "Origin"]
_WINDOW_SECONDS = 5.0
_EMIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class SourceBytes:
    """Bytes that came from one source."""

    type: SourceType
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A fetch at one moment. What was in the store already counts as completed, and not for the rate."""

    total_bytes: int
    completed_bytes: int
    bytes_per_second: int
    eta_seconds: int | None
    sources: tuple[SourceBytes, ...]


class ProgressMeter:
    """Adds up sources and publishes a Progress a few times a second."""

    def __init__(
        self, total_bytes: int, publish: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total_bytes
        self._publish = publish
        self._clock = clock
        self._sources: dict[tuple[SourceType, str], int] = {}
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._published_at = float("-inf")

    def add(self, type: SourceType, name: str, count: int) -> None:
        """Count bytes from a source; negative when a partial file was thrown away."""
        self.set(type, name, self._sources.get((type, name), 0) + count)

    def set(self, type: SourceType, name: str, count: int) -> None:
        """Say how many bytes came from a source in all."""
        self._sources[type, name] = count
        if self._clock() - self._published_at >= _EMIT_SECONDS:
            self.publish()

    def publish(self) -> Progress:
        """Publish the state now and return it."""
        now = self._clock()
        self._published_at = now
        fetched = sum(count for (type, _), count in self._sources.items() if type != "Store")
        self._samples.append((now, fetched))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW_SECONDS:
            self._samples.popleft()
        first_time, first_bytes = self._samples[0]
        rate = max(0.0, (fetched - first_bytes) / (now - first_time)) if now > first_time else 0.0
        completed = min(self._total, sum(self._sources.values()))
        left = self._total - completed
        eta = 0 if not left else round(left / rate) if rate >= 1 else None
        sources = tuple(SourceBytes(type, name, count) for (type, name), count in self._sources.items() if count > 0)
        progress = Progress(self._total, completed, round(rate), eta, sources)
        self._publish(progress)
        return progress
