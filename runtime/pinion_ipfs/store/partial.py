"""One file on its way into the store: each leaf is checked before it is written, the whole before it is published."""

import asyncio
import contextlib
import hashlib
from pathlib import Path
from typing import BinaryIO

from ..content.cid import RAW, Cid
from ..content.unixfs import FileLayout
from ..errors import BlockMismatch, DigestMismatch
from ..hub.identity import RepoId
from ..hub.listing import HubFile
from ..threads import finish_in_thread
from . import BlobRecord, Store
from .files import partial_name


class PartialFile:
    """A file whose leaves are known. It goes on with another source where one failed; `close` throws an unfinished one away."""

    def __init__(self, store: Store, repo: RepoId, file: HubFile, layout: FileLayout) -> None:
        self._store, self._repo, self._file, self.layout = store, repo, file, layout
        self._sha256 = hashlib.sha256()
        # An LFS file's oid is that of its pointer; its content is named by its sha256.
        self._git = None if file.lfs_sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        self._path: Path | None = None
        self._stream: BinaryIO | None = None
        self._writing: asyncio.Task[None] | None = None
        self.next = 0  # the leaf that must come
        self.done_bytes = 0

    async def take(self, leaf: bytes, source: str) -> None:
        """Take the next leaf; raise BlockMismatch, which names the place and `source`, for a wrong one: it is not written."""
        wanted = self.layout.leaves[self.next]
        # The leaf before is written meanwhile: hashing lets go of the interpreter's lock.
        digest = await asyncio.to_thread(lambda: hashlib.sha256(leaf).digest())
        if digest != wanted:
            raise BlockMismatch(
                f"a leaf of {len(leaf)} bytes",
                expected=Cid.from_digest(RAW, wanted),
                actual=Cid.from_digest(RAW, digest),
                source=source,
                path=self._file.path,
                block=self.next,
            )
        await self._settle()
        self._writing = asyncio.create_task(finish_in_thread(self._write, leaf))
        self.next += 1
        self.done_bytes += len(leaf)

    async def finish(self, source: str) -> None:
        """Publish the file; raise DigestMismatch when it is not the one that the hub announced."""
        await self._settle()
        await finish_in_thread(self._publish, source)

    async def close(self) -> None:
        """Throw away what is not finished."""
        try:
            with contextlib.suppress(OSError):
                await self._settle()
        finally:
            if self._stream is not None:
                self._stream.close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)
            self._stream = self._path = None

    async def _settle(self) -> None:
        """Wait until what was taken is written; raise the error that this met."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    def _write(self, leaf: bytes) -> None:
        self._open().write(leaf)
        self._sha256.update(leaf)
        if self._git:
            self._git.update(leaf)

    def _open(self) -> BinaryIO:
        if self._stream is None:
            self._path = partial_name(self._store.staging / self._file.etag)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("xb")
        return self._stream

    def _publish(self, source: str) -> None:
        self._open().close()
        sha256 = self._sha256.hexdigest()
        kind, actual, wanted = "sha256", sha256, self._file.lfs_sha256
        if self._git:
            kind, actual, wanted = "git blob id", self._git.hexdigest(), self._file.oid
        if actual != wanted:
            raise DigestMismatch(
                f"{self._file.path} from {source}: {kind} is {actual}, the hub announced {wanted}",
                source=source,
                path=self._file.path,
            )
        assert self._path is not None
        self._store.publish(self._repo, self._file, self._path, BlobRecord(self.layout, sha256))
        self._stream = self._path = None
