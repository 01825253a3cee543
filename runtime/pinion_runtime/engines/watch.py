"""Whether an engine is to be given up: for its silence, or for a batch nobody waits for; pure, told the time.

Only time in which the front itself was awake counts. A front that was stopped, or whose loop was held up, finds what the engine
said meanwhile still unread: a look that comes late says nothing about the engine.
"""

LOOK_SECONDS = 1.0  # between two looks; the most that one of them counts for


class Watch:
    """One engine; `look` is to be called every LOOK_SECONDS, and says why the engine is to be killed, "" when it is not."""

    def __init__(self, now: float, stuck_seconds: float) -> None:
        self._looked = now
        self._stuck_seconds = stuck_seconds
        self._silent = 0.0  # seconds
        self._deadlines: dict[int, float] = {}  # of batches with the engine: their last deadline
        self._overdue: dict[int, float] = {}  # seconds past it

    @property
    def busy(self) -> bool:
        """Whether a batch is with the engine."""
        return bool(self._deadlines)

    def heard(self) -> None:
        """Take note that the engine said something."""
        self._silent = 0.0

    def sent(self, number: int, deadline: float) -> None:
        """Take note of a batch and of its last deadline."""
        self._deadlines[number] = deadline

    def done(self, number: int) -> None:
        """Forget a batch."""
        self._deadlines.pop(number, None)
        self._overdue.pop(number, None)

    def look(self, now: float, silence_seconds: float) -> tuple[str, float]:
        """Return the reason to kill the engine, or "", and for how many seconds the front itself was held up."""
        passed, self._looked = now - self._looked, now
        held_up = passed - LOOK_SECONDS if passed > 2 * LOOK_SECONDS else 0.0
        awake = min(passed, LOOK_SECONDS)
        self._silent += awake
        for number, deadline in self._deadlines.items():
            if deadline < now:
                self._overdue[number] = self._overdue.get(number, 0.0) + awake
        if self._silent > silence_seconds:
            return f"it was silent for more than {silence_seconds:g} s", held_up
        if any(seconds > self._stuck_seconds for seconds in self._overdue.values()):
            return f"a batch was not finished {self._stuck_seconds:g} s after its deadline", held_up
        return "", held_up
