"""Read CAR streams block by block, every hash checked before a block is given out, with flat memory."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Self

from .car_header import FIELDS_BYTES, PRAGMA_BYTES, decode_header, decode_window, is_version_2
from .cid import DAG_PB, MAX_CID, Cid
from .errors import BlockMismatch, InvalidCid, MalformedCar, TruncatedCar, UnsupportedDag
from .varint import decode_varint

MAX_BLOCK = 2 * 1024 * 1024  # bytes; also the most that IPFS nodes exchange
MAX_HEADER = 4096  # bytes; one root takes 59
_AHEAD = 3  # blocks whose hashes are computed in threads while the next is read
_HASH_HERE = 32 * 1024  # below this many bytes a thread costs more than the hash


def read_car(chunks: AsyncIterator[bytes]) -> "CarReader":
    """Read a CAR from chunks of any size: an async iterator of (CID, block) in which each block has been verified."""
    return CarReader(chunks)


class CarReader:
    """The blocks of a CAR of version 1 or 2, in order, each hashed before it is given out; within a few MiB of memory.

    Iteration raises TruncatedCar, MalformedCar or BlockMismatch, after the good blocks before the fault. Whoever stops early
    calls `aclose`, which closes the chunks as well.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()
        self._ended = False
        self._left: int | None = None  # bytes until the end of the data within a CARv2
        self._roots: tuple[Cid, ...] | None = None
        self._blocks = self._verified()

    async def roots(self) -> tuple[Cid, ...]:
        """Return the roots that the header names."""
        if self._roots is None:
            header = await self._delimited("header", 1, MAX_HEADER)
            if header is None:
                raise TruncatedCar("an empty stream, not a CAR")
            if is_version_2(header):
                header = await self._enter_version_2()
            self._roots = decode_header(header)
        return self._roots

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Cid, bytes]:
        return await anext(self._blocks)

    async def aclose(self) -> None:
        """Stop, and close the chunks if they are a generator: that ends the request or the file behind them."""
        await self._blocks.aclose()
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()

    async def _verified(self) -> AsyncGenerator[tuple[Cid, bytes], None]:
        await self.roots()
        loop = asyncio.get_running_loop()
        pending: deque[tuple[Cid, bytes, asyncio.Future[bytes] | None]] = deque()
        fault: MalformedCar | UnsupportedDag | None = None
        more = True
        while more or pending:
            try:
                section = await self._section() if more else None
            except (MalformedCar, UnsupportedDag) as error:
                section, fault = None, error
            if section is None:
                more = False
            else:
                cid, block = section
                digest = loop.run_in_executor(None, _sha256, block) if len(block) >= _HASH_HERE else None
                pending.append((cid, block, digest))
            while pending and (not more or len(pending) >= _AHEAD):
                cid, block, digest = pending.popleft()
                _check(cid, block, await digest if digest else _sha256(block))
                yield cid, block
        if fault:
            raise fault

    async def _enter_version_2(self) -> bytes:
        """Go to the CARv1 within a CARv2, whose end is that of the stream from now on, and return its header."""
        offset, size = decode_window(await self._exactly("header", FIELDS_BYTES))
        await self._exactly("header", offset - PRAGMA_BYTES - FIELDS_BYTES)
        del self._buffer[size:]
        self._left = size - len(self._buffer)
        header = await self._delimited("header", 1, MAX_HEADER)
        if header is None:
            raise TruncatedCar("a CAR of version 2 without its data")
        return header

    async def _section(self) -> tuple[Cid, bytes] | None:
        section = await self._delimited("block", 4, MAX_BLOCK + MAX_CID)
        if section is None:
            return None
        try:
            cid, start = Cid.read(section)
        except InvalidCid as error:  # whoever asked made no mistake
            raise MalformedCar(f"a block whose CID is none: {error}") from error
        if len(section) - start > MAX_BLOCK:
            raise MalformedCar(f"block {cid} has {len(section) - start} bytes: more than {MAX_BLOCK}")
        return cid, section[start:]

    async def _delimited(self, what: str, least: int, most: int) -> bytes | None:
        """Return the next varint-delimited bytes, or None at the end of the stream."""
        buffer = self._buffer
        while True:
            try:
                length, start = decode_varint(buffer)
                break
            except EOFError as error:
                if not await self._fill():
                    if not buffer:
                        return None
                    raise TruncatedCar(f"the stream ends within the length of a {what}") from error
            except ValueError as error:
                raise MalformedCar(f"the length of a {what}: {error}") from error
        if not least <= length <= most:
            raise MalformedCar(f"a {what} of {length} bytes: between {least} and {most} are allowed")
        while len(buffer) < start + length:
            if not await self._fill():
                raise TruncatedCar(f"the stream ends within a {what}: {len(buffer) - start} of {length} bytes")
        with memoryview(buffer) as view:
            piece = bytes(view[start : start + length])
        del buffer[: start + length]  # bytearray drops a prefix without moving the rest
        return piece

    async def _exactly(self, what: str, count: int) -> bytes:
        while len(self._buffer) < count:
            if not await self._fill():
                raise TruncatedCar(f"the stream ends within a {what}")
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        return piece

    async def _fill(self) -> bool:
        if self._ended or self._left == 0:
            return False
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self._ended = True
            return False
        if self._left is not None:
            chunk = chunk[: self._left]
            self._left -= len(chunk)
        self._buffer += chunk
        return True


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _check(cid: Cid, block: bytes, digest: bytes) -> None:
    if digest != cid.digest and (not cid.identity or block != cid.digest):
        kind = "node" if cid.codec == DAG_PB else "leaf"
        raise BlockMismatch(f"a {kind} of {len(block)} bytes", expected=cid, actual=Cid.from_digest(cid.codec, digest))
