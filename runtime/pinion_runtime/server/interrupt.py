"""Work that is done for a client stops when nobody waits for it any more."""

import asyncio
from types import TracebackType
from typing import Self

from .http import ClientGone, Request


class Interruptible:
    """Run the body of an `async with` until it ends, the client goes, or `interrupt` is called.

    Whatever is awaited inside is cancelled then, and the exception that tells why comes out instead of CancelledError.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._task: asyncio.Task[object] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._why: Exception | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._watch = asyncio.create_task(self._watch_client())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
        task, self._task = self._task, None
        # Only a cancellation that is ours becomes `why`; one from outside goes on.
        if self._why is not None and task is not None and task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._why from None

    def interrupt(self, why: Exception) -> None:
        """Stop the work; the first reason counts."""
        if self._task is not None and self._why is None:
            self._why = why
            self._task.cancel()

    async def _watch_client(self) -> None:
        await self._request.wait_gone()
        self.interrupt(ClientGone())
