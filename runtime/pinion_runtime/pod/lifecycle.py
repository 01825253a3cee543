"""Where a pod is between start and end: one enum (the contract's `Phase`), one transition table, one place that changes it."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from pinion_contract.status import Failure, FailureReason, Phase

_BRINGUP = (
    Phase.RESOLVING,
    Phase.FETCHING,
    Phase.VERIFYING,
    Phase.PINNING,
    Phase.LOADING,
    Phase.WARMING_UP,
    Phase.READY,
)

# What may follow what. Every stage may fail, and every phase may be told to drain.
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    **{phase: frozenset({after, Phase.FAILED, Phase.DRAINING}) for phase, after in itertools.pairwise(_BRINGUP)},
    # A dead engine takes a pod back: another one loads the same verified files.
    Phase.READY: frozenset({Phase.LOADING, Phase.DRAINING}),
    # Bytes that were not the wanted ones may be the right ones once others are wanted.
    Phase.FAILED: frozenset({Phase.RESOLVING, Phase.DRAINING}),
    Phase.DRAINING: frozenset(),
}
# Until they have been loaded the files may be found wrong, and are fetched once more; a warm-up may meet an engine that has
# just died.
for _stage in (Phase.VERIFYING, Phase.PINNING, Phase.LOADING):
    TRANSITIONS[_stage] |= {Phase.FETCHING}
TRANSITIONS[Phase.WARMING_UP] |= {Phase.LOADING}


class InvalidTransition(RuntimeError):
    """A change that the table does not have: an error in the program."""


@dataclass(frozen=True)
class Change:
    """One change of phase or of failure."""

    before: Phase
    phase: Phase
    failure: Failure | None
    failure_before: Failure | None


class Lifecycle:
    """The phase, the failure, and the times of a pod; the only place that changes them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listeners: list[Callable[[Change], None]] = []
        self.phase = Phase.RESOLVING
        self.failure: Failure | None = None
        self.started_at = clock()
        self.first_ready_at: float | None = None

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` after every change, in the order of registration."""
        self._listeners.append(listener)

    def to(self, phase: Phase) -> None:
        """Enter a phase; what failed before in the one left has been overcome, unless an engine has to come back first."""
        self._check(phase)
        died = self.failure is not None and self.failure.reason is FailureReason.ENGINE_DIED
        keep = phase is Phase.DRAINING or (died and phase is not Phase.READY)
        if phase is Phase.READY and self.first_ready_at is None:
            self.first_ready_at = self._clock()
        self._set(phase, self.failure if keep else None)

    def retrying(self, reason: FailureReason, message: str, *, stage: Phase | None = None) -> None:
        """Say that the stage failed and is being tried again; the phase stays."""
        self._set(self.phase, Failure(stage=stage or self.phase, reason=reason, message=message, retrying=True))

    def fail(self, reason: FailureReason, message: str) -> None:
        """Enter Failed: the pod stays up to tell why, serves nothing, and does not try again by itself."""
        stage = self.phase
        self._check(Phase.FAILED)
        self._set(Phase.FAILED, Failure(stage=stage, reason=reason, message=message, retrying=False))

    def engine_died(self, message: str) -> None:
        """Go back to Loading with the reason, until another engine is warm; called again when a replacement fails."""
        if self.phase not in (Phase.READY, Phase.WARMING_UP, Phase.LOADING):
            return
        known = self.failure if self.failure is not None and self.failure.reason is FailureReason.ENGINE_DIED else None
        stage = known.stage if known is not None else self.phase
        self._set(Phase.LOADING, Failure(stage=stage, reason=FailureReason.ENGINE_DIED, message=message, retrying=True))

    @property
    def seconds_to_ready(self) -> float:
        """Return the seconds from start to the first Ready; 0 before."""
        return 0.0 if self.first_ready_at is None else self.first_ready_at - self.started_at

    @property
    def startup_ended(self) -> bool:
        """Tell whether waiting longer makes no difference: Ready was reached once, or bring-up has failed for good."""
        return self.first_ready_at is not None or self.phase in (Phase.FAILED, Phase.DRAINING)

    def _check(self, phase: Phase) -> None:
        if phase not in TRANSITIONS[self.phase]:
            raise InvalidTransition(f"{self.phase} > {phase}")

    def _set(self, phase: Phase, failure: Failure | None) -> None:
        change = Change(self.phase, phase, failure, self.failure)
        self.phase, self.failure = phase, failure
        for listener in self._listeners:
            listener(change)
