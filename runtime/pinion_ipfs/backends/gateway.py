"""Trustless HTTP gateways: blocks and CARs by CID, read only, nothing believed."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

from aiohttp import ClientResponse

from ..content.car import section_bytes
from ..content.car_blocks import WalkedBlocks
from ..content.car_header import encode_header
from ..content.car_reader import CarReader, read_car
from ..content.cid import RAW, Cid
from ..content.reading import read_file
from ..content.verify import DagWalk, Limits
from ..errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, MalformedCar, TruncatedCar
from ..net.addresses import AddressPolicy
from .base import Capability, CarSource, DagStat, Health
from .breaker import Circuit
from .collecting import Collected, GcOrder
from .http import STALL_SECONDS, HttpClient, Token, read_block

T = TypeVar("T")

_RAW = {"Accept": "application/vnd.ipld.raw"}
_CAR = {"Accept": "application/vnd.ipld.car; version=1; order=dfs; dups=y"}
_BLOCK_SECONDS = 30.0
_EMPTY = Cid.of_block(RAW, b"")
_NO_SUCH_PATH = b"404 page not found"  # what Go's servers say
_CHUNK = 256 * 1024
_NEXT_URL = (BackendUnavailable, BlockMismatch, MalformedCar)


class Gateway:
    """`{url}/ipfs/{cid}?format=raw|car` of one gateway, or of several that are asked in their order.

    A stream that is silent for `stall_seconds` is dropped. With several URLs the next one goes on where a failed one stopped,
    and `on_wrong` is told of each wrong block that was replaced so.
    """

    capabilities = frozenset({Capability.READ, Capability.EXPORT})

    def __init__(
        self,
        name: str,
        urls: str | Sequence[str],
        *,
        token: Token = "",
        stall_seconds: float = STALL_SECONDS,
        policy: AddressPolicy | None = None,
        token_source: str = "",
        on_wrong: Callable[[BlockMismatch], None] = lambda error: None,
    ) -> None:
        self.name = name
        self._on_wrong = on_wrong
        self._clients = [
            HttpClient(name, url, token=token, stall_seconds=stall_seconds, policy=policy, token_source=token_source)
            for url in ([urls] if isinstance(urls, str) else urls)
        ]
        self._circuits = {id(client): Circuit() for client in self._clients}

    async def probe(self) -> Health:
        """Ask for the empty block, which every gateway can answer: tells that it answers, not that it has anything."""
        started = time.monotonic()
        errors: list[Exception] = []
        for client in self._clients:
            try:
                await self._block(client, _EMPTY)
            except ContentMissing:
                pass  # it answers
            except ContentError as error:
                errors.append(error)
                continue
            self._circuits[id(client)].record(None)
            return Health(self.name, True, time.monotonic() - started, checks=("answers",))
        return Health(
            self.name,
            False,
            time.monotonic() - started,
            reason="; ".join(map(str, errors)),
            error=ExceptionGroup("no gateway answers", errors) if errors else None,
        )

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await self._first(lambda client: self._block(client, cid))

    async def has(self, cid: Cid) -> bool:
        """Tell whether a gateway gives a block."""
        try:
            await self.block_get(cid)
        except ContentMissing:
            return False
        return True

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file, whatever its layout; a block that the stream leaves out is asked for alone."""
        if len(self._clients) > 1:
            async for piece in read_file(cid, self.block_get):
                yield piece
            return
        async with aclosing(read_car(self.dag_export(cid))) as reader:
            blocks = NextBlocks(reader, self.block_get, self.name)
            async with aclosing(cast(Any, read_file(cid, blocks.get))) as pieces:
                async for piece in pieces:
                    yield piece

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a DAG, depth first with repeats; with several URLs each block has been verified already."""
        if len(self._clients) == 1:
            async with aclosing(self._car(self._clients[0], cid)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        yield encode_header(cid)
        done = 0
        errors: list[ContentError] = []
        for client in self._usable():
            walk, taken = DagWalk(cid, Limits()), 0
            try:
                # The walk's order is fixed: the blocks that came are the same ones wherever they come from.
                async with aclosing(read_car(self._car(client, cid))) as reader:
                    blocks = WalkedBlocks(reader, repeats=partial(self._block, client))
                    while wanted := walk.wanted:
                        block = await blocks.next(wanted, walk.place[0])
                        walk.take(wanted, block)
                        taken += 1
                        if taken > done:
                            done = taken
                            if wanted.inline is None:
                                yield section_bytes(wanted, block)
                    await blocks.finish()
            except _NEXT_URL as error:
                if isinstance(error, BlockMismatch):
                    error.path, error.block = walk.place
                self._failed(client, error, errors)
                continue
            self._circuits[id(client)].record(None)
            return
        raise self._all_failed(errors)

    async def _car(self, client: HttpClient, cid: Cid) -> AsyncGenerator[bytes, None]:
        params = {"format": "car", "car-order": "dfs", "car-dups": "y"}
        async with _of_gateway(client.request("GET", f"/ipfs/{cid}", params=params, headers=_CAR)) as response:
            async for chunk in response.content.iter_chunked(_CHUNK):
                yield chunk

    async def _block(self, client: HttpClient, cid: Cid) -> bytes:
        params = {"format": "raw"}
        request = client.request("GET", f"/ipfs/{cid}", params=params, headers=_RAW, total=_BLOCK_SECONDS)
        async with _of_gateway(request) as response:
            return await read_block(response, cid, self.name)

    async def _first(self, call: Callable[[HttpClient], Awaitable[T]]) -> T:
        if len(self._clients) == 1:
            return await call(self._clients[0])
        errors: list[ContentError] = []
        for client in self._usable():
            try:
                result = await call(client)
            except _NEXT_URL as error:
                self._failed(client, error, errors)
                continue
            self._circuits[id(client)].record(None)
            return result
        raise self._all_failed(errors)

    def _usable(self) -> list[HttpClient]:
        """Return the clients whose circuit lets a call through; all of them when none does: the router has a circuit too."""
        return [client for client in self._clients if self._circuits[id(client)].allow()] or self._clients

    def _failed(self, client: HttpClient, error: ContentError, errors: list[ContentError]) -> None:
        self._circuits[id(client)].record(error)
        errors.append(error)
        if isinstance(error, BlockMismatch):
            error.source = error.source or self.name
            self._on_wrong(error)

    def _all_failed(self, errors: Sequence[ContentError]) -> ContentError:
        if len(errors) == 1 or all(isinstance(error, BlockMismatch) for error in errors):
            return errors[0]
        kind = ContentMissing if all(isinstance(error, ContentMissing) for error in errors) else BackendUnavailable
        return kind("; ".join(map(str, errors)))

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def stat(self, cid: Cid) -> DagStat:
        """Refuse: a gateway tells nothing about whole DAGs."""
        raise self._read_only()

    async def pin(self, cid: Cid) -> None:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def unpin(self, cid: Cid) -> None:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def pin_ls(self) -> frozenset[Cid]:
        """Return nothing: a gateway keeps nothing for us."""
        return frozenset()

    async def dag_import(self, car: CarSource) -> int:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def gc(self, order: GcOrder) -> Collected:
        """Refuse: a gateway is read only."""
        raise BackendUnavailable(f"{self.name}: a gateway is read only")

    async def close(self) -> None:
        """Release connections."""
        for client in self._clients:
            await client.close()

    def _read_only(self) -> BackendUnavailable:
        return BackendUnavailable(f"{self.name}: a gateway only reads")


class NextBlocks:
    """The blocks of a stream as one that asks for them by CID: the next one, or from elsewhere what does not come next."""

    def __init__(self, reader: CarReader, elsewhere: Callable[[Cid], Awaitable[bytes]], source: str) -> None:
        self._reader, self._elsewhere, self._source = reader, elsewhere, source
        self._next: tuple[Cid, bytes] | None = None
        self._ended = False

    async def get(self, cid: Cid) -> bytes:
        """Return one block, verified; raise as `CarReader` does for what is wrong in the stream."""
        if self._next is None and not self._ended:
            try:
                self._next = await anext(self._reader, None)
            except TruncatedCar:
                pass  # what is missing is asked for alone
            except BlockMismatch as error:
                error.source = error.source or self._source
                raise
            self._ended = self._next is None
        if self._next is not None and self._next[0] == cid:
            block, self._next = self._next[1], None
            return block
        return await self._elsewhere(cid)


@asynccontextmanager
async def _of_gateway(request: AbstractAsyncContextManager[ClientResponse]) -> AsyncIterator[ClientResponse]:
    """Tell the answer of a server without such a path from that of a gateway without the content."""
    try:
        async with request as response:
            yield response
    except ContentMissing as error:
        if error.body.strip() != _NO_SUCH_PATH:
            raise
        words = "not a gateway: an address of Kubo's RPC API answers so, and its gateway has a port of its own"
        raise BackendUnavailable(str(error).replace("HTTP 404", f"HTTP 404 ({words})", 1)) from error
