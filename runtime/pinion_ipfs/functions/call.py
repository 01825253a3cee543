"""One call of a function: its backends, its receipts, and its way to the loop in the background and back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeVar, cast

from ..backends.base import Receipt
from ..routing.router import Router
from . import background
from .receipts import collecting, keep_last
from .registry import Given, wanted_backends
from .routers import routers

T = TypeVar("T")
Open = Callable[[Router], AsyncIterator[bytes]]
_AHEAD = 2  # pieces of a stream that wait for who reads it


class Call:
    """`backend` and `deps` are looked at when it is made, in the caller's thread."""

    def __init__(self, backend: Given | None, deps: object | None) -> None:
        self._wanted = wanted_backends(backend, deps)
        self._on_receipt = cast("Callable[[Receipt], None] | None", getattr(deps, "on_receipt", None))
        self.receipts: list[Receipt] = []

    async def run(self, work: Callable[[Router], Awaitable[T]]) -> T:
        """Do the work on the running loop, which is the one in the background."""
        with collecting(self._take):
            async with routers().lease(self._wanted) as router:
                return await work(router)

    def _take(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)
        if self._on_receipt is not None:
            self._on_receipt(receipt)


def wait(backend: Given | None, deps: object | None, work: Callable[[Router], Awaitable[T]]) -> T:
    """Do the work and return its result to a caller that waits."""
    call = Call(backend, deps)
    keep_last(call.receipts)
    return background.call(call.run(work))


async def bring(backend: Given | None, deps: object | None, work: Callable[[Router], Awaitable[T]]) -> T:
    """Do the work and return its result to a caller on another loop."""
    return await background.await_call(Call(backend, deps).run(work))


def wait_for_each(backend: Given | None, deps: object | None, open_stream: Open) -> Iterator[bytes]:
    """Yield a stream to a caller that waits for each piece; what the caller gives is checked at once."""
    call = Call(backend, deps)
    keep_last(call.receipts)
    return _each(_Stream(call, open_stream))


def bring_each(backend: Given | None, deps: object | None, open_stream: Open) -> AsyncIterator[bytes]:
    """Yield a stream to a caller on another loop."""
    return _each_async(_Stream(Call(backend, deps), open_stream))


def _each(stream: "_Stream") -> Iterator[bytes]:
    background.call(stream.start())
    try:
        while (piece := background.call(stream.next())) is not None:
            yield piece
    finally:
        stream.abandon()


async def _each_async(stream: "_Stream") -> AsyncIterator[bytes]:
    await background.await_call(stream.start())
    try:
        while (piece := await background.await_call(stream.next())) is not None:
            yield piece
    finally:
        stream.abandon()


class _Stream:
    """A stream that one task on the loop pours, a few pieces ahead of who reads it."""

    def __init__(self, call: Call, open_stream: Open) -> None:
        self._call, self._open = call, open_stream

    async def start(self) -> None:
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_AHEAD)
        self._task = asyncio.create_task(self._pour())
        self._loop = asyncio.get_running_loop()

    async def next(self) -> bytes | None:
        """Return the next piece, None at the end; raise the stream's error."""
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def abandon(self) -> None:
        """End the task, if it still pours; nobody waits for that, who reads may be in the midst of being finalised."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def _pour(self) -> None:
        try:
            await self._call.run(self._pour_from)
        except Exception as error:  # it is raised where the stream is read
            await self._pieces.put(error)
        else:
            await self._pieces.put(None)

    async def _pour_from(self, router: Router) -> None:
        async with aclosing(cast(Any, self._open(router))) as pieces:
            async for piece in pieces:
                await self._pieces.put(piece)
