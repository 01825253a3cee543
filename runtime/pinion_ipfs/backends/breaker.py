"""The circuit breaker: a backend that fails too often is left alone for a while, then tried once."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ..errors import BackendBusy, BackendUnavailable, BlockMismatch, ContentMissing, MalformedCar, PinFailed

_FAILURES = (BackendUnavailable, BlockMismatch, MalformedCar, PinFailed)
_MAX_OUTCOMES = 10_000  # remembered at most, whatever the window


class CircuitState(StrEnum):
    """What a circuit lets through: everything, nothing, or one trial."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Open when at least `min_requests` of the last `window_seconds` ended and so many percent of them failed."""

    error_threshold_percent: int = 50
    min_requests: int = 10
    open_seconds: float = 30.0
    window_seconds: float = 60.0


class Circuit:
    """One backend's circuit: `allow` before a call, `record` after it. A half-open one lets a single trial through."""

    def __init__(self, settings: BreakerSettings | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings or BreakerSettings()
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_MAX_OUTCOMES)  # (when, failed)
        self._failures = 0
        self._opened_at: float | None = None
        self._trial_at: float | None = None

    @property
    def state(self) -> CircuitState:
        """Return the state at this moment."""
        if self._opened_at is None:
            return CircuitState.CLOSED
        waited = self._clock() - self._opened_at
        return CircuitState.OPEN if waited < self._settings.open_seconds else CircuitState.HALF_OPEN

    def allow(self) -> bool:
        """Tell whether a call may be made now; of a half-open circuit the first asker takes the trial.

        A trial whose outcome is never told counts as lost after the open time: nobody has to clean up.
        """
        match self.state:
            case CircuitState.CLOSED:
                return True
            case CircuitState.OPEN:
                return False
        now = self._clock()
        if self._trial_at is not None and now - self._trial_at < self._settings.open_seconds:
            return False
        self._trial_at = now
        return True

    def release(self) -> None:
        """Give a trial back that ended without an outcome: its caller was cancelled, or made a mistake of its own."""
        self._trial_at = None

    def record(self, error: BaseException | None) -> None:
        """Take the outcome of a call.

        What is missing says that the backend answers; being busy with our own work, and a caller's mistake, say nothing.
        Wrong bytes are as bad as none.
        """
        if error is None or isinstance(error, ContentMissing):
            self._take(failed=False)
        elif isinstance(error, _FAILURES) and not isinstance(error, BackendBusy):
            self._take(failed=True)
        else:
            self.release()

    def _take(self, *, failed: bool) -> None:
        match self.state:
            case CircuitState.CLOSED:
                self._count(failed=failed)
            case _ if not failed:
                self._close()
            case CircuitState.HALF_OPEN:
                self._open()
            case CircuitState.OPEN:
                pass  # of a call that was made before

    def _count(self, *, failed: bool) -> None:
        now = self._clock()
        if len(self._outcomes) == _MAX_OUTCOMES:
            self._forget()
        self._outcomes.append((now, failed))
        self._failures += failed
        while now - self._outcomes[0][0] > self._settings.window_seconds:
            self._forget()
        count = len(self._outcomes)
        enough = count >= self._settings.min_requests
        if failed and enough and self._failures * 100 >= self._settings.error_threshold_percent * count:
            self._open()

    def _forget(self) -> None:
        _, failed = self._outcomes.popleft()
        self._failures -= failed

    def _open(self) -> None:
        self._opened_at, self._trial_at = self._clock(), None
        self._outcomes.clear()
        self._failures = 0

    def _close(self) -> None:
        self._opened_at = self._trial_at = None
