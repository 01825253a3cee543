"""Files of a tree from backends into the store, each by its CID: every block verified by the walk, whoever laid it out."""

import asyncio
import errno
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..backends.base import Attempt, Backend, Capability
from ..content.car_blocks import WalkedBlocks
from ..content.car_reader import read_car
from ..content.cid import DAG_PB, Cid
from ..content.dag_pb import decode_node
from ..content.unixfs import FileHasher
from ..content.verify import DagWalk, FilePiece, FileStart, Limits, chosen_root
from ..errors import (
    BackendUnavailable,
    BlockMismatch,
    ContentError,
    ContentMissing,
    DigestMismatch,
    MalformedCar,
    StorageFilled,
    StoreInaccessible,
    TruncatedCar,
    UnsupportedDag,
)
from ..hub.identity import RepoId
from ..hub.trees import tree_file
from ..routing.router import Router
from ..store import BlobRecord, Store
from ..store.files import make_folders, partial_name
from ..store.laid_out import check_leaves, check_nodes
from ..store.tree_records import FileRecord, TreeRecords
from ..threads import finish_in_thread
from .tree_walk import TreeFile

_GIVE_UP_ON_BACKEND = (BackendUnavailable, BlockMismatch, MalformedCar, DigestMismatch)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class TreeFiles:
    """Fills the store with files of one tree; a file is published when it is whole, and stays when the next one fails.

    A backend that gave something wrong, or did not answer, is not asked again for this fetch.
    """

    def __init__(
        self,
        store: Store,
        records: TreeRecords,
        repo: RepoId,
        router: Router,
        on_bytes: Callable[[str, int], None],
        on_wrong: Callable[[ContentError, str], None],
    ) -> None:
        self._store, self._records, self._repo, self._router = store, records, repo, router
        self._on_bytes, self._on_wrong = on_bytes, on_wrong
        self._given_up: set[int] = set()
        self.attempts: list[Attempt] = []

    async def bring(self, file: TreeFile) -> str:
        """Bring one file and return the name of the backend that gave it.

        Raise UnsupportedDag for what can't be read whoever gives it, ContentMissing when nobody has it, BackendUnavailable,
        StorageFilled.
        """
        reasons: list[Attempt] = []
        for backend in self._order():
            if id(backend) in self._given_up or self._router.passes_over(backend):
                continue
            started = time.monotonic()
            try:
                # Kubo answers an export of what it lacks with 200 and a CAR that ends after its header: ask first.
                if not await backend.has(file.cid):
                    raise ContentMissing(f"{backend.name} does not have {file.cid}")
                await _Writing(self._store, self._records, self._repo, file, backend, self._on_bytes).run()
            except _GIVE_UP_ON_BACKEND as error:
                self._router.note(backend, error)
                self._given_up.add(id(backend))
                self._on_wrong(error, backend.name)
                attempt = Attempt(backend.name, f"{file.path}: {error}", type(error).__name__, time.monotonic() - started)
                self.attempts.append(attempt)
                reasons.append(attempt)
            except OSError as error:
                if error.errno in _FULL:
                    free = await asyncio.to_thread(self._store.free_bytes)
                    raise StorageFilled(file.path, needed_bytes=file.size, available_bytes=free) from error
                raise StoreInaccessible(f"{file.path}: {error.strerror}: {error.filename}") from error
            else:
                self._router.note(backend, None)
                return backend.name
        told = "; ".join(f"{one.backend}: {one.error}" for one in reasons or self.attempts) or "there is none to ask"
        raise BackendUnavailable(f"{file.path} ({file.cid}): no backend delivers it: {told}")

    def _order(self) -> Sequence[Backend]:
        """Return who is asked: those that export a stream first, then those that give single blocks."""
        streaming = self._router.able(Capability.EXPORT)
        known = {id(backend) for backend in streaming}
        return [*streaming, *(one for one in self._router.able(Capability.READ) if id(one) not in known)]


class _Writing:
    """One file from one backend."""

    def __init__(
        self,
        store: Store,
        records: TreeRecords,
        repo: RepoId,
        file: TreeFile,
        backend: Backend,
        on_bytes: Callable[[str, int], None],
    ) -> None:
        self._store, self._records, self._repo = store, records, repo
        self._file, self._backend, self._on_bytes = file, backend, on_bytes
        self._layout, self._sha256 = FileHasher(), hashlib.sha256()
        self._nodes: dict[Cid, bytes] = {}
        self._nodes_bytes = self._leaves = 0
        self._partial: Path = partial_name(store.staging / "tree")
        self._stream: BinaryIO | None = None
        self._written = 0

    async def run(self) -> None:
        """Write it, hash it, publish it."""
        try:
            await finish_in_thread(self._open)
            await self._read()
            await finish_in_thread(self._publish)
            self._written = 0
        except (BlockMismatch, TruncatedCar) as error:
            error.path = error.path or self._file.path
            raise
        except UnsupportedDag as error:
            raise UnsupportedDag(f"{self._file.path}: {error}") from error
        finally:
            self._discard()

    async def _read(self) -> None:
        root = self._file.cid
        walk = DagWalk(root, Limits(max_bytes=self._file.size))
        # Both are async generators: aclosing ends the request when the walk refuses what it reads.
        async with aclosing(cast(Any, self._backend.dag_export(root))) as chunks, aclosing(read_car(chunks)) as reader:
            with self._told_by_backend():
                chosen_root(await reader.roots(), root)
            blocks = WalkedBlocks(reader, repeats=self._backend.block_get)
            while wanted := walk.wanted:
                try:
                    with self._told_by_backend():
                        block = await blocks.next(wanted, self._file.path)
                except BlockMismatch as error:
                    error.source = error.source or self._backend.name
                    error.path, error.block = self._file.path, walk.place[1]
                    raise
                for event in walk.take(wanted, block):
                    if isinstance(event, FileStart) and event.size != self._file.size:
                        said = f"{event.size} bytes, where the entry says {self._file.size}"
                        raise UnsupportedDag(f"{root} has {said}")
                    if isinstance(event, FilePiece):
                        self._leaves += 1
                        check_leaves(self._leaves, self._file.size)
                        await finish_in_thread(self._write, event.data)
                if wanted.codec == DAG_PB and wanted not in self._nodes and decode_node(block).links:
                    self._nodes[wanted] = block
                    self._nodes_bytes += len(block)
                    check_nodes(self._nodes_bytes)
            with self._told_by_backend():
                await blocks.finish()

    @contextmanager
    def _told_by_backend(self) -> Iterator[None]:
        """Tell what a stream has and we don't read from what the DAG itself has: another backend may do better."""
        try:
            yield
        except UnsupportedDag as error:
            raise MalformedCar(f"{self._backend.name}: {error}") from error

    def _open(self) -> None:
        make_folders(self._partial.parent)
        self._stream = self._partial.open("xb")

    def _write(self, data: bytes) -> None:
        assert self._stream is not None
        self._layout.update(data)
        self._sha256.update(data)
        self._stream.write(data)
        self._written += len(data)
        self._on_bytes(self._backend.name, len(data))

    def _publish(self) -> None:
        assert self._stream is not None
        self._stream.close()
        sha256, layout = self._sha256.hexdigest(), self._layout.finish()
        file = tree_file(self._file.path, layout.size, sha256)
        self._store.publish(self._repo, file, self._partial, BlobRecord(layout, sha256))
        self._records.put_file(self._file.cid, FileRecord(sha256, layout.size, self._nodes))

    def _discard(self) -> None:
        """Throw away what is not whole, and take its bytes back from the count."""
        if self._stream is not None:
            self._stream.close()
        self._partial.unlink(missing_ok=True)
        if self._written:
            self._on_bytes(self._backend.name, -self._written)
