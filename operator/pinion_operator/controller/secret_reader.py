"""Secrets that objects name: read where a Role lets us. A refusal is remembered, for the next call would be refused as well."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..cluster.api import Api
from ..cluster.errors import ForbiddenError
from ..resources.kinds import SECRET, Key, Object

SHORTEST, LONGEST = 30.0, 600.0  # seconds until it is asked again, doubled with each refusal in a row
REMEMBERED = 10_000


@dataclass
class _Refused:
    error: ForbiddenError
    again: float
    pause: float


class SecretReader:
    """Reads Secrets by name."""

    def __init__(self, api: Api, now: Callable[[], float] = time.monotonic) -> None:
        self._api, self._now = api, now
        self._refused: dict[Key, _Refused] = {}

    async def get(self, key: Key) -> Object | None:
        """Return a Secret, None when there is none; ForbiddenError, also for a while after the API server has said so."""
        known, now = self._refused.get(key), self._now()
        if known and now < known.again:
            raise known.error
        try:
            found = await self._api.get(SECRET, key)
        except ForbiddenError as error:
            pause = min(LONGEST, 2 * known.pause) if known else SHORTEST
            if len(self._refused) >= REMEMBERED:
                self._refused.pop(next(iter(self._refused)))
            self._refused[key] = _Refused(error, now + pause, pause)
            raise
        self._refused.pop(key, None)
        return found
