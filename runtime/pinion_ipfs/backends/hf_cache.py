"""A store as a backend: a Hugging Face cache on a folder that processes, pods and users may share. Needs no daemon."""

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..content.car import section_bytes
from ..content.car_header import encode_header
from ..content.car_reader import MAX_BLOCK, read_car
from ..content.cid import DAG_PB, RAW, Cid
from ..content.dag_pb import decode_node
from ..content.leaves import CHUNK
from ..content.reading import read_file
from ..errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, StorageFilled, UnsupportedDag
from ..hub.manifest import MAX_BYTES, Manifest, blocks_of, cid_of
from ..store.collection import collect
from ..store.files import write_atomically
from ..store.importing import import_snapshot
from ..store.in_use import in_use
from ..store.index import StoreIndex
from ..store.ownership import is_believed
from ..store.store import Store
from ..threads import finish_in_thread, in_thread
from .base import Capability, CarSource, DagStat, Health, Places
from .collecting import MAX_NAMED, Collected, GcOrder

_PROBE = b"pinion probe\n"
_MANIFEST = b'{"commit":'
_READING = frozenset({Capability.READ, Capability.EXPORT})
_WRITING = _READING | {Capability.ADD, Capability.WRITE, Capability.PIN, Capability.GC}
_FULL = (errno.ENOSPC, errno.EDQUOT)
T = TypeVar("T")


class HfCache:
    """Blocks of verified snapshots by CID, and single blocks of its own beside the cache.

    What is imported after its manifest was put lies in the cache as the hub's own library would have laid it out. On a volume
    that this process can't write it only reads. A wrong block is never given out; where it can, `stat` takes its file out, so
    that the next import repairs it.
    """

    def __init__(self, name: str, hf_home: Path | Store) -> None:
        self.name = name
        self._store = hf_home if isinstance(hf_home, Store) else Store(hf_home)
        self._index = StoreIndex(self._store)
        self._blocks = self._store.side / "blocks"
        self._pins = self._store.side / "cid-pins"
        self._writable = self._store.writable

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what this folder lets this process do, as last looked at."""
        return _WRITING if self._writable else _READING

    @property
    def places(self) -> Places:
        """Return the store's folder."""
        return frozenset({("folder", str(self._store.side.resolve()))})

    async def probe(self) -> Health:
        """Write, read and compare one block; where only reading is possible, read the folder."""
        started = time.monotonic()
        checks: tuple[str, ...] = ()
        try:
            self._writable = await asyncio.to_thread(lambda: self._store.writable)
            await asyncio.to_thread(self._store.prepare)
            await asyncio.to_thread(lambda: list(self._store.hf_home.iterdir()))
            checks, data = ("list",), _PROBE
            if self._writable:
                data = await self.block_get(await self.add_bytes(_PROBE, pin=False))
                checks = ("add", "cat", "compare")
        except (OSError, ContentError) as error:
            return Health(self.name, False, time.monotonic() - started, checks, f"{type(error).__name__}: {error}")
        reason = "" if data == _PROBE else f"read {len(data)} other bytes than were written"
        return Health(self.name, not reason, time.monotonic() - started, checks, reason)

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Keep a file of one leaf at most (1 MiB); larger content is imported, so that its layout is ours."""
        self._check_size(data, CHUNK)
        cid = await self.block_put(data, codec=RAW)
        if pin:
            await self.pin(cid)
        return cid

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Keep one block of 2 MiB at most; a manifest is kept as such."""
        self._check_size(data, MAX_BLOCK)
        self._check_writable()
        cid = Cid.of_block(codec, data)
        if codec == RAW and (manifest := _manifest(data)):
            async with in_use(self._store.uses.of_repository(manifest.repo.folder)):
                await self._write(lambda: self._store.put_manifest(manifest))
            return cid
        async with in_use(self._store.uses.of_blocks()):
            await self._write(lambda: write_atomically(self._block(cid), data))
            if codec == DAG_PB:
                await self._write(lambda: self._assemble(cid))
        return cid

    @asynccontextmanager
    async def keeping(self, manifest: bytes) -> AsyncIterator[None]:
        """Keep collections away from single blocks and a manifest's repository: what is put meanwhile can be pinned."""
        found = _manifest(manifest)
        async with AsyncExitStack() as uses:
            await uses.enter_async_context(in_use(self._store.uses.of_blocks()))
            if found:
                await uses.enter_async_context(in_use(self._store.uses.of_repository(found.repo.folder)))
            yield

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        return await self._look(lambda: self._read(cid, refresh=True))

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file."""
        async for block in read_file(cid, self.block_get):
            yield block

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is here."""
        await self._look(self._index.refresh)
        return cid.inline is not None or cid in self._index or self._block(cid).is_file()

    async def stat(self, cid: Cid) -> DagStat:
        """Read a whole DAG and check every block; raise ContentMissing when one is not here, or was wrong and is taken out."""
        return await self._look(lambda: self._stat(cid))

    async def pin(self, cid: Cid) -> None:
        """Note a pin of a DAG that is wholly here; raise ContentMissing when it isn't."""
        async with in_use(self._store.uses.of_pins()):
            await self.stat(cid)
            await self._write(lambda: self._pin(cid))

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin."""
        await self._write(lambda: self._unpin(cid))

    async def pin_ls(self) -> frozenset[Cid]:
        """Return pins of single CIDs and of snapshots with an owner."""
        return await self._look(self._all_pins)

    async def dag_import(self, car: CarSource) -> int:
        """Take a DAG in: as a snapshot of the cache when its manifest is here, else block by block."""
        self._check_writable()
        manifest = await self._look(lambda: self._manifest_of(car.tree.root))
        if manifest:
            async with in_use(self._store.uses.of_repository(manifest.repo.folder)):
                return await import_snapshot(self._store, manifest, car.open(), self.name)
        written = 0
        async with in_use(self._store.uses.of_blocks()), aclosing(read_car(car.open())) as blocks:
            async for cid, block in blocks:
                await self._write(partial(write_atomically, self._block(cid), block, durable=False))
                written += len(block)
        return written

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a DAG, depth first with repeats."""
        if not await self.has(cid):
            raise ContentMissing(f"{self.name}: {cid} is not in the store")
        async with aclosing(in_thread(lambda: self._export(cid))) as sections:
            async for section in sections:
                yield section

    async def gc(self, order: GcOrder) -> Collected:
        """Free space in the store, what was not used for longest first."""
        self._check_writable()
        done = await self._look(
            lambda: collect(
                self._store,
                high=order.high,
                low=order.low,
                foreign=order.foreign,
                idle_seconds=order.idle_seconds,
                dry_run=order.dry_run,
            )
        )
        removed = done.removed[:MAX_NAMED]
        return Collected(self.name, done.used, done.freed, removed, len(done.removed), done.kept[:MAX_NAMED], done.dry_run)

    async def close(self) -> None:
        """Nothing is open."""

    def _export(self, root: Cid) -> Iterator[bytes]:
        yield encode_header(root)
        wanted = [root]
        while wanted:
            cid = wanted.pop()
            block = self._raw(cid)
            if cid.codec == DAG_PB:  # a node says what comes next; leaves are checked by whoever reads
                self._check(cid, block)
                wanted.extend(link.cid for link in reversed(decode_node(block).links))
            if cid.inline is None:
                yield section_bytes(cid, block)

    def _stat(self, root: Cid) -> DagStat:
        self._index.refresh()
        seen: set[Cid] = set()
        size = 0
        wanted = [root]
        while wanted:
            cid = wanted.pop()
            if cid in seen:
                continue
            seen.add(cid)
            try:
                block = self._read(cid)
            except BlockMismatch as error:
                if self._writable:
                    self._take_out(cid)
                    raise ContentMissing(f"{self.name}: {error}; taken out") from error
                raise
            size += len(block)
            if cid.codec == DAG_PB:
                wanted.extend(link.cid for link in decode_node(block).links)
        return DagStat(root, len(seen), size)

    def _take_out(self, cid: Cid) -> None:
        if leaf := self._index.leaf(cid):
            self._store.quarantine(leaf.repo, leaf.file)
        else:
            self._block(cid).unlink(missing_ok=True)

    def _read(self, cid: Cid, *, refresh: bool = False) -> bytes:
        if refresh:
            self._index.refresh()
        block = self._raw(cid)
        self._check(cid, block)
        return block

    def _raw(self, cid: Cid) -> bytes:
        if cid.inline is not None:
            return cid.inline
        try:
            block = self._index.block(cid)
            return self._read_single(cid) if block is None else block
        except FileNotFoundError:
            raise ContentMissing(f"{self.name}: {cid} is not in the store") from None
        except OSError as error:
            raise BackendUnavailable(f"{self.name}: {cid}: {error.strerror}: {error.filename}") from error

    def _read_single(self, cid: Cid) -> bytes:
        block = self._block(cid).read_bytes()
        with suppress(OSError):  # a volume that can't be written
            os.utime(self._block(cid))  # a note for collections: of itself its time of access says so once a day at most
        return block

    def _check(self, cid: Cid, block: bytes) -> None:
        if (actual := cid.of_other(block)) != cid:
            leaf = self._index.leaf(cid)
            path, index = (leaf.file.path, leaf.index) if leaf else ("", None)
            raise BlockMismatch(
                f"a block in {self.name}", expected=cid, actual=actual, source=self.name, path=path, block=index
            )

    async def _look(self, look: Callable[[], T]) -> T:
        """Read in a thread; a folder that can't be read is a backend that does not answer."""
        try:
            return await asyncio.to_thread(look)
        except OSError as error:
            raise BackendUnavailable(f"{self.name}: {error.strerror}: {error.filename}") from error

    async def _write(self, write: Callable[[], object]) -> None:
        self._check_writable()
        try:
            await finish_in_thread(self._store.secure, self._blocks, self._pins)
            await finish_in_thread(write)
        except OSError as error:
            if error.errno in _FULL:
                free = await asyncio.to_thread(self._store.free_bytes)
                raise StorageFilled(self.name, needed_bytes=MAX_BLOCK, available_bytes=free) from error
            raise BackendUnavailable(f"{self.name}: {error.strerror}: {error.filename}") from error

    def _check_size(self, data: bytes, most: int) -> None:
        if len(data) > most:
            raise ContentError(f"{self.name}: {len(data)} bytes are more than one block of {most}")

    def _check_writable(self) -> None:
        if not self._writable:
            raise BackendUnavailable(f"{self.name}: this process can't write to {self._store.side}")

    def _pin(self, cid: Cid) -> None:
        write_atomically(self._pins / str(cid), b"")
        if manifest := self._manifest_of(cid):
            self._store.hold(manifest.repo, manifest.commit, str(cid))

    def _unpin(self, cid: Cid) -> None:
        (self._pins / str(cid)).unlink(missing_ok=True)
        if manifest := self._manifest_of(cid):
            self._store.release(manifest.repo, str(cid))

    def _assemble(self, root: Cid) -> None:
        """Keep a manifest that came in several blocks as such, once its root is here."""

        def block(cid: Cid) -> bytes:
            return self._block(cid).read_bytes()

        try:
            links = decode_node(block(root)).links
        except UnsupportedDag:
            return
        if not 1 < len(links) <= MAX_BYTES // CHUNK or not all(link.cid.codec == RAW for link in links):
            return
        try:
            if not block(links[0].cid).startswith(_MANIFEST):
                return
            data = b"".join(block(link.cid) for link in links)
        except FileNotFoundError:
            return
        if cid_of(data) == root and (manifest := _manifest(data)):
            with self._store.uses.of_repository(manifest.repo.folder):
                self._store.put_manifest(manifest)
            for cid in blocks_of(data):
                self._block(cid).unlink(missing_ok=True)

    def _block(self, cid: Cid) -> Path:
        return self._blocks / str(cid)

    def _manifest_of(self, root: Cid) -> Manifest | None:
        return next((manifest for _, manifest in self._store.manifests() if manifest.root == root), None)

    def _all_pins(self) -> frozenset[Cid]:
        single = {Cid.parse(path.name) for path in self._pins.glob("b*") if is_believed(path)} if self._pins.is_dir() else set()
        owned = {cid for record in self._store.pins.all() for cid in (record.cid, record.manifest_cid)}
        return frozenset(single | owned)


def _manifest(data: bytes) -> Manifest | None:
    """Return the manifest that a block is, None for any other block."""
    if not data.startswith(_MANIFEST):
        return None
    try:
        return Manifest.decode(data)
    except UnsupportedDag:
        return None
