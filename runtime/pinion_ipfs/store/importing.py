"""A snapshot from a CAR into the store, laid out as its manifest says; each file is published when it is whole."""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from ..content.verify import Event, FileEnd, FilePiece, FileStart, Limits, unpack_car
from ..errors import DigestMismatch, InsufficientStorage, StorageFilled, StoreInaccessible
from ..hub.listing import HubFile
from ..hub.manifest import Manifest
from ..threads import finish_in_thread
from .blobs import BlobHasher
from .files import make_folders, partial_name
from .store import Store

_FULL = (errno.ENOSPC, errno.EDQUOT)


async def import_snapshot(store: Store, manifest: Manifest, chunks: AsyncIterator[bytes], source: str) -> int:
    """Take the files of a CAR that the store lacks, and link the snapshot; return the bytes written.

    Raises what `unpack_car` raises, DigestMismatch for files that the manifest does not name, InsufficientStorage.
    """
    absent = [file.hub for file in manifest.files if store.adopt(manifest.repo, file.hub) is None]
    needed = sum(file.size for file in absent)
    if not await asyncio.to_thread(store.has_room, needed):
        free = await asyncio.to_thread(store.free_bytes)
        raise InsufficientStorage(f"{manifest.repo} in {source}", needed_bytes=needed, available_bytes=free)
    writer = _Writer(store, manifest, source)
    limits = Limits(max_bytes=manifest.listing.total_bytes)
    with store.staging_session():
        async with aclosing(unpack_car(chunks, manifest.root, limits=limits, source=source)) as events:
            try:
                async for event in events:
                    await finish_in_thread(writer.take, event)
            except OSError as error:
                if error.errno in _FULL:
                    free = await asyncio.to_thread(store.free_bytes)
                    raise StorageFilled(f"{manifest.repo} in {source}", needed_bytes=needed, available_bytes=free) from error
                raise StoreInaccessible(f"{source}: {error.strerror}: {error.filename}") from error
            finally:
                writer.discard()
    files = [file.hub for file in manifest.files]
    await finish_in_thread(store.link_snapshot, manifest.repo, manifest.commit, files)
    return writer.written


class _Writer:
    def __init__(self, store: Store, manifest: Manifest, source: str) -> None:
        self._store = store
        self._repo = manifest.repo
        self._source = source
        self._files: Mapping[str, HubFile] = {file.hub.path: file.hub for file in manifest.files}
        self._file: HubFile | None = None
        self._hasher: BlobHasher | None = None
        self._stream: BinaryIO | None = None
        self._partial = Path()
        self.written = 0

    def take(self, event: Event) -> None:
        """Carry out one event."""
        match event:
            case FileStart(path, size):
                self._start(path, size)
            case FilePiece(data) if self._stream is not None and self._hasher is not None:
                self._hasher.update(data)
                self._stream.write(data)
                self.written += len(data)
            case FileEnd() if self._stream is not None and self._hasher is not None and self._file is not None:
                self._stream.close()
                self._stream = None
                record = self._hasher.finish(self._source)
                self._store.publish(self._repo, self._file, self._partial, record)

    def discard(self) -> None:
        """Throw away a file that is not whole."""
        if self._stream is not None:
            self._stream.close()
            self._partial.unlink(missing_ok=True)

    def _start(self, path: str, size: int) -> None:
        self._file = self._files.get(path)
        if self._file is None or self._file.size != size:
            raise DigestMismatch(f"{path!r} of {size} bytes is not in the manifest", source=self._source, path=path)
        if self._store.adopt(self._repo, self._file) is not None:
            self._hasher = None
            return
        self._hasher = BlobHasher(self._file)
        self._partial = partial_name(self._store.staging / self._file.etag)
        make_folders(self._partial.parent)
        self._stream = self._partial.open("xb")
