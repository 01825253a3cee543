"""Warning events about objects that wait. They are not watched: they are asked for while something waits, and not too often."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..cluster.api import Api
from ..cluster.errors import ApiError
from ..resources.kinds import EVENT, Key, Object

PATIENCE = 3.0  # seconds: what waits for less is on its way
EVERY = 10.0  # seconds between two questions for the sake of one of our objects
AT_ONCE = 3  # objects that are asked about for it

Warnings = Mapping[str, tuple[Object, ...]]  # events by the uid of what they are about
Ask = Callable[[Object], Awaitable[tuple[Object, ...]]]


@dataclass
class _Wait:
    since: float
    asked_at: float | None = None
    known: dict[str, tuple[Object, ...]] = field(default_factory=dict)


class WarningEvents:
    """By our object; bounded by those that wait: one at rest is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._waits: dict[Key, _Wait] = {}
        self._clock = clock

    async def look(self, key: Key, waiting: Sequence[Object], ask: Ask) -> Warnings:
        """Return what is known of these objects, which wait; asked anew when it is time."""
        if not waiting:
            self.forget(key)
            return {}
        now = self._clock()
        wait = self._waits.setdefault(key, _Wait(now))
        if now - wait.since >= PATIENCE and (wait.asked_at is None or now - wait.asked_at >= EVERY):
            wait.asked_at = now
            await _ask(wait, waiting[:AT_ONCE], ask)
        uids = [str(obj["metadata"]["uid"]) for obj in waiting]
        return {uid: wait.known[uid] for uid in uids if uid in wait.known}

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone, or at rest."""
        self._waits.pop(key, None)


async def warnings_about(api: Api, obj: Object) -> tuple[Object, ...]:
    """Return the Warning events about an object."""
    meta = obj["metadata"]
    _, events = await api.list(EVENT, meta["namespace"], fields=f"regarding.uid={meta['uid']},type=Warning")
    return tuple(events)


async def _ask(wait: _Wait, objects: Sequence[Object], ask: Ask) -> None:
    for obj in objects:
        with contextlib.suppress(ApiError):  # the rest of what is said stands without it
            wait.known[str(obj["metadata"]["uid"])] = await ask(obj)
    uids = {str(obj["metadata"]["uid"]) for obj in objects}
    wait.known = {uid: known for uid, known in wait.known.items() if uid in uids}
