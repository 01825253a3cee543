"""How an answer of unknown length goes out: in chunks, to clients of HTTP/1.0 until the connection ends, or broken off."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from .http import BrokenOff, Message, Receive, Scope, Send

_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Delivery:
    """An ASGI application around another, for the one request of `cycle`."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], cycle: RequestResponseCycle, close: Callable[[], None]
    ) -> None:
        """`close` ends the connection once what was written is taken."""
        self._app, self._cycle, self._close = app, cycle, close
        self._until_close = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; where the answer breaks off, the connection ends without the body's end: nobody takes it for whole."""

        async def write(message: Message) -> None:
            self._prepare(message, scope)
            await send(message)

        try:
            await self._app(scope, receive, write)
        except BrokenOff:
            self._cycle.disconnected = True  # nothing more is written
            self._close()

    def _prepare(self, message: Message, scope: Scope) -> None:
        """Have a body of unknown length end with the connection where the client knows no chunks."""
        cycle = self._cycle
        if message["type"] == "http.response.start":
            sized = any(name.lower() == b"content-length" for name, _ in message["headers"])
            bodiless = message["status"] in _WITHOUT_BODY or scope["method"] == "HEAD"
            self._until_close = scope["http_version"] == "1.0" and not sized and not bodiless
            if self._until_close:
                cycle.chunked_encoding = False  # the connection ends anyway: none of HTTP/1.0 is kept
        elif self._until_close:
            cycle.expected_content_length += len(message.get("body", b""))
