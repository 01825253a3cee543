"""Requests and responses over raw ASGI: just what our routes need."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"


class ClientGone(Exception):
    """The client has closed its connection; nobody is left to answer."""


class BrokenOff(Exception):
    """An answer can't be ended as it began; the server ends the connection instead, so that its client sees that."""


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = field(default_factory=list)

    def all_headers(self) -> Headers:
        """Return its headers, and those that describe its body."""
        if self.status == HTTPStatus.NO_CONTENT:
            return self.headers
        return [(b"content-type", self.content_type), (b"content-length", str(len(self.body)).encode()), *self.headers]

    async def send(self, send: Send, extra: Headers) -> None:
        """Send it, with `extra` headers."""
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.all_headers(), *extra]})
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True)
class StreamingResponse:
    """An answer in pieces, each the data of a server-sent event; its status is 200, sent with the first piece.

    An error before the first piece is answered as one of the handler is. Later it is sent as an event, and breaks the answer
    off. A client that goes cancels the pieces where they wait. Whatever happens, the pieces are closed, and `held` is left:
    what the handler has entered for as long as the answer takes, its place among the requests for one.
    """

    pieces: AsyncGenerator[bytes, None]
    held: AsyncExitStack = field(default_factory=AsyncExitStack)
    headers: Headers = field(default_factory=list)


def json_response(value: Any, *, status: int = 200, headers: Headers | None = None) -> Response:
    """Return `value` as JSON."""
    return Response(status, msgspec.json.encode(value), headers=headers or [])


class Request:
    """One request; its body is read once, by admission."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self._headers: Headers = scope["headers"]
        self._state: MutableMapping[str, Any] = scope.get("state", {})
        self._receive = receive
        self.client = ""  # whose key it came with; "" = nobody's
        self._body_started = False
        self._body_ended = False

    def header(self, name: bytes) -> str | None:
        """Return the first header of this lower-case name."""
        for key, value in self._headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def whole_header(self, name: bytes) -> str:
        """Return the values of all headers of this lower-case name, which mean one list; "" when there is none."""
        return ", ".join(value.decode("latin-1") for key, value in self._headers if key == name)

    @property
    def content_length(self) -> int | None:
        """Return the announced size of the body; None when it comes in chunks."""
        value = self.header(b"content-length")
        return int(value) if value is not None and value.isdecimal() else None

    @property
    def expects_continue(self) -> bool:
        """Tell whether the client waits for a go-ahead before it sends the body."""
        return (self.header(b"expect") or "").lower() == "100-continue"

    async def next_chunk(self, idle_seconds: float) -> bytes | None:
        """Return the next piece of the body, None after the last.

        Raises TimeoutError, ClientGone, or the ApiError of a body that the parser refused.
        """
        if self._body_ended:
            return None
        self._body_started = True
        async with asyncio.timeout(idle_seconds):
            message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if (refusal := self._state.get("refusal")) is not None:
            self._body_ended = True
            raise refusal
        self._body_ended = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    async def discard_body(self, most_bytes: int, seconds: float) -> bool:
        """Read what is left of the body and throw it away; return whether its end was reached.

        A refusal that is sent while the client still writes is lost when the connection is closed under it.
        """
        if self.expects_continue and not self._body_started:
            return False  # it has not begun to send, and need not
        try:
            async with asyncio.timeout(seconds):
                while most_bytes >= 0:
                    chunk = await self.next_chunk(seconds)
                    if chunk is None:
                        return True
                    most_bytes -= len(chunk)
        except TimeoutError:
            pass
        return False

    async def wait_gone(self) -> None:
        """Return when the client has closed its connection; only after the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
