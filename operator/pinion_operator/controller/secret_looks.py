"""When it is asked whether somebody took Secrets of ours away.

They are not read, so all that can be asked is whether their names are free, by a create for show: one that finds the name
taken, as nearly all do, is a refused call. So it is asked when it matters, to pods that start, and hardly ever else.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field

from ..cluster.errors import ApiError
from ..resources.kinds import Key

SELDOM = 3600.0  # seconds, while nothing happens
NEW_PODS = 60.0  # at most so often for pods that are new
WAITING = 10.0  # for a pod that waits for its volumes: so late for the first time, then after twice as long each time
LONGEST_WAITING = 600.0


@dataclass
class _Looks:
    at: float  # of the last
    pods: Set[str] = field(default_factory=frozenset)  # at the last, by uid
    waits: bool = False
    pause: float = WAITING
    next_for_waiting: float = 0.0


class SecretLooks:
    """By object; bounded by the objects alive: `forget` drops what is remembered of one that is gone.

    `at_start`: also at the first look of this process, for what happened before.
    """

    def __init__(self, *, at_start: bool, now: Callable[[], float] = time.monotonic) -> None:
        self._at_start, self._now = at_start, now
        self._looks: dict[Key, _Looks] = {}

    def due(self, key: Key, pods: Set[str], *, waits: bool) -> bool:
        """Return whether to ask now; then it counts as asked. `pods` mount the Secrets; some of them may wait for them."""
        now, known = self._now(), self._looks.get(key)
        if known is None:
            self._looks[key] = _Looks(now, pods, waits, WAITING, now + WAITING)
            return self._at_start
        if waits and not known.waits:
            known.pause, known.next_for_waiting = WAITING, now + WAITING
        known.waits = waits
        for_new = bool(pods - known.pods) and now - known.at >= NEW_PODS
        for_waiting = waits and now >= known.next_for_waiting
        if not (for_new or for_waiting or now - known.at >= SELDOM):
            return False
        if for_waiting:
            known.pause = min(LONGEST_WAITING, 2 * known.pause)
            known.next_for_waiting = now + known.pause
        known.at, known.pods = now, pods
        return True

    @contextlib.contextmanager
    def asking(self, key: Key) -> Iterator[None]:
        """Ask inside it: a question that gets no answer counts as not asked."""
        try:
            yield
        except ApiError:
            self.forget(key)
            raise

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
        self._looks.pop(key, None)
