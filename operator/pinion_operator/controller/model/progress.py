"""For how long nothing has got on: the clock beside the marks that a decision compares."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ...reconcile.model.observed import SinceProgress
from ...reconcile.model.progress import Marks
from ...resources.kinds import Key


@dataclass
class _Course:
    marks: Marks
    since: float
    moved: bool = False


class Progress:
    """Bounded by the objects that are on their way: one at rest is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._courses: dict[Key, _Course] = {}
        self._clock = clock

    def look(self, key: Key, marks: Marks | None) -> SinceProgress:
        """Return for how long the marks have been what they are; None: nothing is waited for."""
        if marks is None:
            self.forget(key)
            return SinceProgress()
        course, now = self._courses.get(key), self._clock()
        if course is None:
            self._courses[key] = _Course(marks, now)
            return SinceProgress()
        if (advanced := course.marks.advanced(marks)) != course.marks:
            self._courses[key] = _Course(advanced, now, moved=True)
            return SinceProgress(0.0, moved=True)
        return SinceProgress(now - course.since, course.moved)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone, or at rest."""
        self._courses.pop(key, None)
