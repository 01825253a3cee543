"""Bodies on their way from bytes to token ids: few of the large ones at a time, since each takes several times its size then.

What the front holds for callers is bounded by this: bodies as they came (sixteen of the largest), of those the ones that are
being read (two large and four of middle size), what the tokenizer needs meanwhile, and the token ids that wait.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")

_SMALL_BYTES = 64 << 10  # up to here a body is read at once: it takes less than a millisecond
_MIDDLE_BYTES = 1 << 20
_MIDDLE_AT_ONCE = 4
_LARGE_AT_ONCE = 2


class Intake:
    """The places for bodies that are being read, and the one thread that reads them: a decoder holds all others up."""

    def __init__(self) -> None:
        self._middle = asyncio.Semaphore(_MIDDLE_AT_ONCE)
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._thread = ThreadPoolExecutor(1, "reader")

    def places(self, size: int) -> asyncio.Semaphore | None:
        """Return the places for bodies of this size, None when one needs none."""
        if size <= _SMALL_BYTES:
            return None
        return self._middle if size <= _MIDDLE_BYTES else self._large

    async def run(self, read: Callable[[bytes], R], body: bytes) -> R:
        """Read a body on the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, read, body)


class Body:
    """One body, from its arrival to its token ids; `close` when they are there, or when nobody wants them any more."""

    def __init__(self, data: bytes, intake: Intake, forget: Callable[[int], None]) -> None:
        """`forget` is told how many bytes lie in memory no longer."""
        self._data, self._intake, self._forget = data, intake, forget
        self._size = len(data)
        self._place: asyncio.Semaphore | None = None

    async def read(self, read: Callable[[bytes], R]) -> R:
        """Wait for a place, and return what `read` makes of the body; its place is kept until `close`."""
        if (places := self._intake.places(self._size)) is None:
            return read(self._data)
        await places.acquire()
        self._place = places
        return await self._intake.run(read, self._data)

    def close(self) -> None:
        """Leave the place; does nothing the second time."""
        self._data = b""
        if self._place is not None:
            self._place.release()
            self._place = None
        self._forget(self._size)
        self._size = 0
