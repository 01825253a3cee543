"""How many passes work at once. One that the API server has asked to wait leaves its place to another meanwhile."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self


class Slots:
    """Entered by a task that works; `parked` is entered by the same task while it only waits."""

    def __init__(self, size: int) -> None:
        self._gate = asyncio.Semaphore(size)
        self._debt = 0  # places taken beyond the size: who has begun does not queue behind those who have not
        self._holders: set[asyncio.Task[Any] | None] = set()

    async def __aenter__(self) -> Self:
        await self._gate.acquire()
        self._holders.add(asyncio.current_task())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._holders.discard(asyncio.current_task())
        self._leave()

    @contextmanager
    def parked(self) -> Iterator[None]:
        """Give the place away; nothing for a task that has none."""
        if asyncio.current_task() not in self._holders:
            yield
            return
        self._leave()
        try:
            yield
        finally:
            self._debt += 1

    def _leave(self) -> None:
        if self._debt:
            self._debt -= 1
        else:
            self._gate.release()
