"""The server itself: bounded connections, a limit for every wait, a token before every answer; files leave by sendfile."""

import asyncio
import contextlib
import hmac
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import UnreadableSource
from ..program.arguments import read_token
from ..threads import in_thread
from .answers import Answer, Shared, Span, answer, refuse
from .http import MAX_HEAD, BadRequest, Request, read_request

_log = logging.getLogger(__name__)
_PIECE = 4 * 1024 * 1024  # sent within one stall timeout: 140 kB/s is the least that a peer must take
_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one server gives to its peers at a time, in connections and seconds."""

    connections: int = 128
    head_seconds: float = 10.0  # for a request's head, from its first byte
    idle_seconds: float = 60.0  # of a connection between two requests
    stall_seconds: float = 30.0  # for the next piece of an answer to be taken
    linger_seconds: float = 2.0  # a refused peer that still writes reads the answer before it sees a reset


class Token:
    """The bearer token in a file, read again when the file has changed: a Secret that is replaced needs no restart."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._read_at = float("-inf")
        self._token = ""

    def read(self) -> str:
        """Return the token, at most two seconds old; raise OSError or ValueError (no token) when none was ever read."""
        if self._clock() - self._read_at >= 2.0:
            try:
                self._token = read_token(self._path)
            except (OSError, ValueError):
                if not self._token:
                    raise  # else a Secret is on its way from one version to the next
            self._read_at = self._clock()
        return self._token

    def matches(self, authorization: str) -> bool:
        """Tell whether a header carries the token; the comparison takes the same time whatever is wrong."""
        scheme, _, given = authorization.partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1"), self.read().encode())
        return same and scheme.lower() == "bearer"


class ContentServer:
    """Serves what is shared, on one socket, until it is closed."""

    def __init__(self, shared: Shared, token: Token, bounds: Bounds | None = None) -> None:
        self._shared = shared
        self._token = token
        self._bounds = bounds or Bounds()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept."""
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=MAX_HEAD, backlog=256)

    async def close(self) -> None:
        """Accept nothing more and end what is under way."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) > self._bounds.connections:
                await self._refuse(reader, writer, refuse(503, "too many connections", {"Retry-After": "1"}))
            else:
                while await self._exchange(reader, writer):
                    pass
        except (OSError, TimeoutError, UnreadableSource):
            pass  # the peer has gone, takes nothing, or a file is no longer what it was: it sees a cut answer
        except asyncio.CancelledError:
            pass  # we are closing
        except Exception:
            _log.exception("error in a connection")
        finally:
            self._connections.discard(task)
            # Not `close`: what the peer never took would keep the connection open.
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may follow."""
        first = b""
        try:
            async with asyncio.timeout(self._bounds.idle_seconds) as limit:
                first = await reader.read(1)
                limit.reschedule(asyncio.get_running_loop().time() + self._bounds.head_seconds)
                request = await read_request(reader, first) if first else None
        except BadRequest as error:
            await self._refuse(reader, writer, refuse(400, str(error)))
            return False
        except TimeoutError:
            if first:
                message = f"the head of the request did not arrive within {self._bounds.head_seconds:g} s"
                await self._refuse(reader, writer, refuse(408, message))
            return False
        if request is None:
            return False
        given = await asyncio.to_thread(self._answer, request)
        method_known = request.method in _METHODS
        await self._send(writer, given, head_only=request.method == "HEAD", keep_alive=request.keep_alive and method_known)
        return request.keep_alive and method_known

    def _answer(self, request: Request) -> Answer:
        try:
            allowed = self._token.matches(request.headers.get("authorization", ""))
        except (OSError, ValueError):
            return refuse(503, "no token to compare with")
        if not allowed:
            return refuse(401, "a bearer token of this deployment is needed", {"WWW-Authenticate": "Bearer"})
        if request.method not in _METHODS:
            return refuse(405, "content is read only", {"Allow": ", ".join(_METHODS)})
        return answer(self._shared, request)

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, given: Answer) -> None:
        """Answer for the last time, and take what the peer still writes: a reset would lose the answer."""
        _log.info("refused a connection of %s: %s", writer.get_extra_info("peername")[0], given.body.decode().strip())
        await self._send(writer, given, head_only=False)
        writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.linger_seconds):
                while await reader.read(MAX_HEAD):
                    pass

    async def _send(self, writer: asyncio.StreamWriter, given: Answer, *, head_only: bool, keep_alive: bool = False) -> None:
        head = given.head.encode(keep_alive=keep_alive)
        if head_only:
            await self._write(writer, head)
        elif given.span is not None:
            try:
                stream = await asyncio.to_thread(given.span.path.open, "rb")
            except FileNotFoundError:  # taken out of the store since
                await self._send(writer, refuse(404, "the file is gone"), head_only=False, keep_alive=keep_alive)
                return
            with stream:
                await self._write(writer, head)
                await self._send_file(writer, stream, given.span)
        elif given.pieces is not None:
            await self._write(writer, head)
            async with contextlib.aclosing(in_thread(given.pieces)) as pieces:
                async for piece in pieces:
                    await self._write(writer, piece)
        else:
            await self._write(writer, head + given.body)

    async def _send_file(self, writer: asyncio.StreamWriter, stream: BinaryIO, span: Span) -> None:
        loop = asyncio.get_running_loop()
        done = 0
        while done < span.count:
            async with asyncio.timeout(self._bounds.stall_seconds):
                want = min(_PIECE, span.count - done)
                sent = await loop.sendfile(writer.transport, stream, span.first + done, want)
            if not sent:
                raise UnreadableSource(f"{span.path}: became shorter")
            done += sent

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        async with asyncio.timeout(self._bounds.stall_seconds):
            writer.write(data)
            await writer.drain()
