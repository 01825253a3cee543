"""HTTP byte by byte: what no client library would send, and the answers as they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value."""
        return msgspec.json.decode(self.body)


@dataclass
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Send each part by itself; between two the server gets the chance to read."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """Return the next answer that is no 100."""
        async with asyncio.timeout(SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            status, headers = int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}
            if status == 100:
                return await self.answer(head_only=head_only)
            size = 0 if head_only else int(headers["content-length"])
            return Answer(status, headers, await self.reader.readexactly(size))

    async def rest(self) -> bytes:
        """Return what comes until the server ends the connection."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()


@asynccontextmanager
async def connect(port: int, host: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """Open a connection, and close it in the end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def post(path: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    """Return a POST."""
    lines = [f"POST {path} HTTP/{version}", "Host: test", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
