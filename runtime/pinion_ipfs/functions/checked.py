"""A backend that is not one of ours, and that nothing is believed of: each block is hashed, each id compared."""

import asyncio
from collections.abc import AsyncIterator

from ..backends.base import Backend, Capability, CarSource, DagStat, Health, Places
from ..backends.collecting import Collected, GcOrder
from ..content.cid import RAW, Cid
from ..content.export import export_dag
from ..content.reading import read_file
from ..errors import BackendUnavailable, BlockMismatch
from ..routing.places import places_of


def check_block(name: str, cid: Cid, block: bytes) -> bytes:
    """Return a block that is what its CID says; raise BlockMismatch for another."""
    if (actual := cid.of_other(block)) != cid:
        raise BlockMismatch(f"a block of {name}", expected=cid, actual=actual, source=name)
    return block


def check_id(name: str, operation: str, told: Cid, expected: Cid) -> Cid:
    """Return an id that is the one which the bytes have."""
    if told != expected:
        raise BackendUnavailable(f"{name}: {operation} gives {told}, another id than its bytes have: {expected}")
    return told


class Checked:
    """Wraps a backend. Files and CARs are made of its blocks; what it says of pins and sizes is its own."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.name = inner.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what it says that it can do."""
        return self.inner.capabilities

    @property
    def places(self) -> Places:
        """Return what is behind the one that is checked."""
        return places_of(self.inner)

    async def probe(self) -> Health:
        """Let it make its round trip."""
        return await self.inner.probe()

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file of one leaf."""
        return check_id(self.name, "add_bytes", await self.inner.add_bytes(data, pin=pin), Cid.of_block(RAW, data))

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the bytes of a file, block by block."""
        async for piece in read_file(cid, self.block_get):
            yield piece

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block."""
        return check_id(self.name, "block_put", await self.inner.block_put(data, codec=codec), Cid.of_block(codec, data))

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await asyncio.to_thread(check_block, self.name, cid, await self.inner.block_get(cid))

    async def has(self, cid: Cid) -> bool:
        """Tell whether it says that a block is there."""
        return await self.inner.has(cid)

    async def stat(self, cid: Cid) -> DagStat:
        """Return what it says of a DAG."""
        return await self.inner.stat(cid)

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG."""
        await self.inner.pin(cid)

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin."""
        await self.inner.unpin(cid)

    async def pin_ls(self) -> frozenset[Cid]:
        """Return what it says is pinned."""
        return await self.inner.pin_ls()

    async def dag_import(self, car: CarSource) -> int:
        """Take a DAG in."""
        return await self.inner.dag_import(car)

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield a CAR of verified blocks."""
        async for piece in export_dag(cid, self.block_get):
            yield piece

    async def gc(self, order: GcOrder) -> Collected:
        """Let it free space."""
        return await self.inner.gc(order)

    async def close(self) -> None:
        """Release what it holds; somebody else's may hold nothing, and have no word for it."""
        if (close := getattr(self.inner, "close", None)) is not None:
            await close()
