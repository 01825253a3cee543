"""Questions to the hub under way and answered, one per ModelDeployment: no worker waits for a slow hub."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ...reconcile.model.source import Asking, Resolution, SourceFacts, Unresolved
from ...resources.kinds import Key

Probe = Callable[[int], Awaitable[SourceFacts | Unresolved]]  # takes how many attempts failed before

LOST = 30.0  # seconds: how late to look again while the hub is being asked; the answer itself wakes


@dataclass
class _Question:
    asked: str  # what is asked for; another text is another question
    task: asyncio.Task[None]
    answer: SourceFacts | Unresolved | None = None  # the last one, also while it is asked again
    failures: int = 0  # in a row
    again_at: float = 0.0  # by the monotonic clock


class Resolutions:
    """Bounded by the objects alive: `forget` drops what is remembered of one that is gone."""

    def __init__(self, at_once: int = 8) -> None:
        self._questions: dict[Key, _Question] = {}
        self._gate = asyncio.Semaphore(at_once)

    def look(self, key: Key, asked: str, probe: Probe, enqueue: Callable[[], None]) -> Resolution:
        """Return what is known now. Asks when nothing is, or when a failure is old enough; `enqueue` is called with the answer.

        Raises what the probe raised, once: a defect, since answers and failures of the hub are values.
        """
        known = self._questions.get(key)
        if known is None or known.asked != asked:
            self.forget(key)
            self._questions[key] = self._ask(asked, probe, enqueue, None, 0)
            return Asking()
        if known.task.done():
            if known.answer is None or known.task.exception():
                del self._questions[key]
                known.task.result()
            if isinstance(known.answer, SourceFacts):
                return known.answer
            if time.monotonic() >= known.again_at:
                known = self._questions[key] = self._ask(asked, probe, enqueue, known.answer, known.failures)
        if isinstance(known.answer, Unresolved):
            asking = not known.task.done()
            return replace(known.answer, again_in=LOST if asking else max(0.1, known.again_at - time.monotonic()))
        return Asking()

    def forget(self, key: Key) -> None:
        """Drop a question and its answer."""
        if known := self._questions.pop(key, None):
            known.task.cancel()

    def _ask(
        self, asked: str, probe: Probe, enqueue: Callable[[], None], answer: SourceFacts | Unresolved | None, failures: int
    ) -> _Question:
        async def ask() -> None:
            try:
                async with self._gate:
                    question.answer = await probe(failures)
                if isinstance(question.answer, Unresolved):
                    question.failures = failures + 1
                    question.again_at = time.monotonic() + question.answer.again_in
            finally:
                enqueue()

        question = _Question(asked, asyncio.create_task(ask(), name="hub"), answer, failures)
        return question
