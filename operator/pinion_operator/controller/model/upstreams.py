"""Where branches are by now: asked of the hub every so often, one question at a time for each ModelDeployment."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...reconcile.model.source import SourceFacts, Unresolved
from ...resources.kinds import Key

Probe = Callable[[SourceFacts], Awaitable[SourceFacts | Unresolved]]  # takes what is known: the same commit is not listed again

SPREAD = (0.9, 1.1)  # of the interval: objects that were made together are not asked for together
FIRST = (0.25, 1.0)  # of the interval, in a process that has just started


@dataclass
class _Branch:
    asked: str  # what is asked for; another text is another question
    wish: str  # to be asked at once; another text is another wish
    interval: float  # seconds
    due: float  # by the monotonic clock
    facts: SourceFacts | None = None  # the last answer
    unasked: Unresolved | None = None  # why nobody asks any more, as far as is known
    task: asyncio.Task[None] | None = None


class Upstreams:
    """Bounded by the objects alive: `forget` drops what is remembered of one that is gone."""

    def __init__(self, at_once: int = 4) -> None:
        self._branches: dict[Key, _Branch] = {}
        self._gate = asyncio.Semaphore(at_once)

    def learned(self, key: Key, asked: str, wish: str, facts: SourceFacts, interval: float) -> None:
        """Note an answer that came another way: the next question is due after an interval."""
        known = self._branches.get(key)
        if known is None or known.asked != asked or known.facts is None:
            self.forget(key)
            self._branches[key] = _Branch(asked, wish, interval, _from_now(interval, SPREAD), facts)

    def look(
        self, key: Key, asked: str, wish: str, known: SourceFacts, interval: float, probe: Probe, enqueue: Callable[[], None]
    ) -> SourceFacts | None:
        """Return the last answer, None when this process has none; ask when it is time; `enqueue` is called with a new answer.

        Raises what the probe raised, once: a defect, since answers and failures of the hub are values.
        """
        branch = self._branches.get(key)
        if branch is None or branch.asked != asked:
            self.forget(key)
            branch = self._branches[key] = _Branch(asked, wish, interval, _from_now(interval, FIRST))
        if interval < branch.interval:
            branch.due = min(branch.due, _from_now(interval, SPREAD))
        branch.interval = interval
        if branch.wish != wish:
            branch.wish, branch.due = wish, 0.0
        if branch.task and branch.task.done():
            task, branch.task = branch.task, None
            task.result()
        if branch.task is None and time.monotonic() >= branch.due:
            branch.task = asyncio.create_task(self._ask(branch, branch.facts or known, probe, enqueue), name="upstream")
        return branch.facts

    def unasked(self, key: Key) -> Unresolved | None:
        """Return why the last question was not asked; None: it was, or there was none yet."""
        branch = self._branches.get(key)
        return branch.unasked if branch else None

    def forget(self, key: Key) -> None:
        """Drop a question and its answer."""
        branch = self._branches.pop(key, None)
        if branch and branch.task:
            branch.task.cancel()

    async def _ask(self, branch: _Branch, known: SourceFacts, probe: Probe, enqueue: Callable[[], None]) -> None:
        wish, branch.due = branch.wish, time.monotonic() + branch.interval
        async with self._gate:
            answer = await probe(known)
        due = _from_now(branch.interval, SPREAD)
        if isinstance(answer, Unresolved):  # what was known stands; the next question comes no sooner than the hub wants it
            due = max(due, time.monotonic() + answer.again_in)
        branch.due = due if branch.wish == wish else 0.0  # somebody wished for it while it was being asked
        before = branch.facts, branch.unasked
        branch.unasked = answer if isinstance(answer, Unresolved) and not answer.asked else None
        if isinstance(answer, SourceFacts):
            branch.facts = answer
        if before != (branch.facts, branch.unasked):
            enqueue()


def _from_now(interval: float, part: tuple[float, float]) -> float:
    return time.monotonic() + interval * random.uniform(*part)
