"""Sending an answer in pieces: each as it comes and no faster than it is taken, and only while somebody reads."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from . import sse
from .http import Headers, Request, Send, StreamingResponse
from .interrupt import Interruptible


class Streaming:
    """One answer on its way."""

    def __init__(self, response: StreamingResponse, request: Request, send: Send, extra: Callable[[], Headers]) -> None:
        """`extra` are the headers beside the answer's own, as they are when its head is sent."""
        self._response, self._request, self._send, self._extra = response, request, send, extra
        self.began = False  # the head has been sent, and with it the status

    async def run(self) -> None:
        """Send all of it, the event that ends it too; what the answer holds is left before.

        Raises what its pieces raise, and ClientGone; its pieces are closed then, wherever they wait.
        """
        response = self._response
        async with response.held, aclosing(response.pieces) as pieces, Interruptible(self._request):
            async for piece in pieces:
                await self._write(sse.event(piece))
                if self._request.method == "HEAD":
                    break
                await asyncio.sleep(0)  # where pieces never wait it is still seen that the client goes
        await self._write(sse.DONE, last=True)

    async def break_off(self, error: bytes) -> None:
        """Send the event that says why there is no end; nothing may follow it."""
        await self._write(sse.event(error))

    async def _write(self, event: bytes, *, last: bool = False) -> None:
        if not self.began:
            self.began = True
            headers = [*sse.HEADERS, *self._response.headers, *self._extra()]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": event, "more_body": not last})
