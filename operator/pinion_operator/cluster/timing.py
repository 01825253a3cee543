"""The times of the Lease; a module of its own, since flags are checked before any client is there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """All from one number of seconds: for how long the others let a silent holder be. Whole, as the record holds it.

    A holder that dies has renewed at most a moment before, and a standby sees that `look` later at the latest. So another leads
    after `duration` + `look`, seven sixths of the duration: 9.3 s for the 8 s that are the default.
    """

    duration: int = 8

    @property
    def renewal(self) -> float:
        """Return how often the holder writes."""
        return self.duration / 3

    @property
    def deadline(self) -> float:
        """Return when the holder gives up: before the others do, for a write of its own may still be on its way."""
        return self.duration * 4 / 5

    @property
    def look(self) -> float:
        """Return how often a standby reads."""
        return self.duration / 6

    @property
    def attempt(self) -> float:
        """Return the limit of one request: after a renewal that hangs there is time for another."""
        return (self.deadline - self.renewal) / 2
