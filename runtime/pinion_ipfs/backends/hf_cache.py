"""The store as a backend: answers for the blocks of its snapshots, and keeps single blocks of its own. Needs no daemon."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from ..content.car import car_stream
from ..content.cid import DAG_PB, RAW, Cid
from ..content.dag_pb import decode_node
from ..content.unixfs_pb import decode_data
from ..errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing
from ..store.files import write_atomically
from ..store.index import StoreIndex
from ..store.store import Store
from ..streams import in_thread
from .base import Capability, CarSource, DagStat, Health

_PROBE = b"pinion probe\n"
_MAX_BLOCK = 1024 * 1024


class HfCache:
    """Blocks of verified snapshots by CID; `block_put` and `add_bytes` keep loose blocks beside the cache."""

    capabilities = frozenset({Capability.READ, Capability.EXPORT, Capability.WRITE, Capability.PIN})

    def __init__(self, store: Store, name: str = "hf_cache") -> None:
        self.name = name
        self._store = store
        self._index = StoreIndex(store)
        self._blocks = store.side / "blocks"
        self._pins = store.side / "cid-pins"

    async def probe(self) -> Health:
        """Write, read and compare one block."""
        started = time.monotonic()
        try:
            cid = await self.add_bytes(_PROBE, pin=False)
            data = await self.block_get(cid)
        except (OSError, ContentError) as error:
            return Health(self.name, False, time.monotonic() - started, reason=f"{type(error).__name__}: {error}")
        usable = data == _PROBE
        reason = "" if usable else f"read {len(data)} other bytes than were written"
        return Health(self.name, usable, time.monotonic() - started, ("add", "cat", "compare"), reason)

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Keep a file of one block; larger content comes in through the fetcher."""
        cid = await self.block_put(data, codec=RAW)
        if pin:
            await self.pin(cid)
        return cid

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Keep one block."""
        if len(data) > _MAX_BLOCK:
            raise ContentError(f"{self.name}: {len(data)} bytes are more than one block of {_MAX_BLOCK}")
        cid = Cid.of_block(codec, data)
        await asyncio.to_thread(write_atomically, self._block(cid), data)
        return cid

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await asyncio.to_thread(self._read, cid)

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file."""
        block = await self.block_get(cid)
        if cid.codec == RAW:
            yield block
            return
        node = decode_node(block)
        if decode_data(node.data) is None:
            raise ContentError(f"{cid} is a directory")
        for link in node.links:
            async for chunk in self.cat(link.cid):
                yield chunk

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is here."""
        await asyncio.to_thread(self._index.refresh)
        return cid in self._index or self._block(cid).is_file()

    async def stat(self, cid: Cid) -> DagStat:
        """Walk a DAG, reading only its interior nodes; raise ContentMissing when a block is not here."""
        seen: set[Cid] = set()
        size = 0
        wanted = [cid]
        while wanted:
            here = wanted.pop()
            if here in seen:
                continue
            seen.add(here)
            block = await self.block_get(here)
            size += len(block)
            if here.codec == DAG_PB:
                wanted.extend(link.cid for link in decode_node(block).links)
        return DagStat(cid, len(seen), size)

    async def pin(self, cid: Cid) -> None:
        """Note a pin of a DAG that is wholly here; raise ContentMissing when it isn't."""
        await self.stat(cid)
        await asyncio.to_thread(write_atomically, self._pins / str(cid), b"")

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin."""
        await asyncio.to_thread((self._pins / str(cid)).unlink, missing_ok=True)

    async def pin_ls(self) -> frozenset[Cid]:
        """Return pins of single CIDs and of snapshots with an owner."""
        return await asyncio.to_thread(self._all_pins)

    async def dag_import(self, car: CarSource) -> int:
        """Refuse: content enters the store through the fetcher, which knows its names at the hub."""
        raise BackendUnavailable(f"{self.name}: content enters the store by fetching")

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a snapshot or a file, depth first with repeats."""
        await asyncio.to_thread(self._index.refresh)
        if stored := self._index.trees.get(cid):
            async for chunk in in_thread(lambda: car_stream(stored.tree, lambda path: stored.blobs[path].open("rb"))):
                yield chunk
        elif found := self._index.files.get(cid):
            layout, blob = found
            async for chunk in in_thread(lambda: car_stream(layout, lambda path: blob.open("rb"))):
                yield chunk
        else:
            raise ContentMissing(f"{self.name}: {cid} is not in the store")

    async def close(self) -> None:
        """Nothing is open."""

    def _read(self, cid: Cid) -> bytes:
        self._index.refresh()
        block = self._index.block(cid)
        if block is None:
            try:
                block = self._block(cid).read_bytes()
            except FileNotFoundError:
                raise ContentMissing(f"{self.name}: {cid} is not in the store") from None
        if hashlib.sha256(block).digest() != cid.digest:
            raise BlockMismatch(f"a block in {self.name}", expected=cid, actual=Cid.of_block(cid.codec, block))
        return block

    def _block(self, cid: Cid) -> Path:
        return self._blocks / str(cid)

    def _all_pins(self) -> frozenset[Cid]:
        single = {Cid.parse(path.name) for path in self._pins.glob("b*")} if self._pins.is_dir() else set()
        owned = {cid for record in self._store.pins.all() for cid in (record.cid, record.manifest_cid)}
        return frozenset(single | owned)
