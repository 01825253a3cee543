"""A Kubo by its API as long as that answers, else by its program: two ways to what a user calls `kubo`."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar, cast

from ..backends.base import CarSource, DagStat, Health, Places
from ..backends.collecting import Collected, GcOrder
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..content.cid import Cid
from ..errors import BackendUnauthorized, BackendUnavailable, ContentMissing

T = TypeVar("T")

LOOK_SECONDS = 5.0  # that the API has to say which version it is
AGAIN_SECONDS = 10.0  # after which it is asked again


class KuboEither:
    """Each operation goes by the API where that answers, else by the program; receipts name the way that was taken last.

    An API that answers and refuses, as one that wants another token, answers: the program is not asked in its stead.
    What deletes or lets be deleted, `unpin` and `gc`, goes by the API alone: the program may have another repository.
    """

    capabilities = KuboRpc.capabilities & KuboCli.capabilities

    def __init__(self, api: KuboRpc, program: KuboCli) -> None:
        self._api, self._program = api, program
        self._way: KuboRpc | KuboCli = api
        self._looked_at = float("-inf")

    @property
    def name(self) -> str:
        """Return the name of the way that was taken last."""
        return self._way.name

    def way_of(self, name: str) -> KuboRpc | KuboCli | None:
        """Return the way that has a name, as receipts and pin records have it."""
        return next((way for way in (self._api, self._program) if way.name == name), None)

    async def version(self) -> str:
        """Return the version of the Kubo that answers."""
        return await self._go(lambda way: way.version())

    async def probe(self) -> Health:
        """Look anew which way there is, and make a round trip on it."""
        self._looked_at = float("-inf")
        return await (await self._choose()).probe()

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file of one leaf at most."""
        return await self._go(lambda way: way.add_bytes(data, pin=pin))

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file."""
        async with aclosing(self._stream(lambda way: way.cat(cid))) as pieces:
            async for piece in pieces:
                yield piece

    @property
    def places(self) -> Places:
        """Return the API, and the repository of the program."""
        return self._api.places | self._program.places

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block."""
        return await self._go(lambda way: way.block_put(data, codec=codec))

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await self._go(lambda way: way.block_get(cid))

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is in the repository."""
        return await self._go(lambda way: way.has(cid))

    async def stat(self, cid: Cid) -> DagStat:
        """Return the size of a DAG that is there as a whole."""
        return await self._go(lambda way: way.stat(cid))

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG."""
        await self._go(lambda way: way.pin(cid))

    async def unpin(self, cid: Cid) -> None:
        """Give up our pin, by the API alone."""
        await self._only_api().unpin(cid)

    async def pin_ls(self) -> frozenset[Cid]:
        """Return the roots of all recursive pins."""
        return await self._go(lambda way: way.pin_ls())

    async def dag_import(self, car: CarSource) -> int:
        """Take a DAG in."""
        return await self._go(lambda way: way.dag_import(car))

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield a CAR."""
        async with aclosing(self._stream(lambda way: way.dag_export(cid))) as pieces:
            async for piece in pieces:
                yield piece

    async def gc(self, order: GcOrder) -> Collected:
        """Have it delete what is not pinned, by the API alone."""
        return await self._only_api().gc(order)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()
        await self._program.close()

    def _only_api(self) -> KuboRpc:
        """Return the API, down or not; the next operation looks anew which way there is."""
        self._way, self._looked_at = self._api, float("-inf")
        return self._api

    async def _go(self, call: Callable[[KuboRpc | KuboCli], Awaitable[T]]) -> T:
        way = await self._choose()
        try:
            return await call(way)
        except BackendUnavailable as error:
            if (other := await self._instead_of(way, error)) is None:
                raise
        return await call(other)

    async def _stream(self, open_stream: Callable[[KuboRpc | KuboCli], AsyncIterator[bytes]]) -> AsyncGenerator[bytes]:
        """Yield a stream; where the API is lost on the way, the program goes on at that byte."""
        way, done = await self._choose(), 0
        try:
            async with aclosing(cast("AsyncGenerator[bytes]", open_stream(way))) as pieces:
                async for piece in pieces:
                    done += len(piece)
                    yield piece
        except BackendUnavailable as error:
            if (other := await self._instead_of(way, error)) is None:
                raise
        else:
            return
        async with aclosing(cast("AsyncGenerator[bytes]", open_stream(other))) as pieces:
            async for piece in pieces:
                rest = piece[done:]
                done -= len(piece) - len(rest)
                if rest:
                    yield rest

    async def _instead_of(self, way: KuboRpc | KuboCli, error: BackendUnavailable) -> KuboCli | None:
        """Return the program where an error means that the API is gone."""
        if way is self._program or isinstance(error, ContentMissing | BackendUnauthorized):
            return None
        self._looked_at = float("-inf")
        return self._program if await self._choose() is self._program else None

    async def _choose(self) -> KuboRpc | KuboCli:
        if time.monotonic() - self._looked_at > AGAIN_SECONDS:
            self._way = self._api if await self._answers() else self._program
            self._looked_at = time.monotonic()
        return self._way

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._api.version()
        except BackendUnauthorized:
            return True
        except (BackendUnavailable, TimeoutError):
            return False
        return True
