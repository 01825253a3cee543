"""Files from a backend into the store, by CID: every block verified by the walk, every file compared with the hub's names."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..backends.base import Backend
from ..content.cid import Cid
from ..content.verify import DirectoryFound, FileEnd, FilePiece, FileStart, Limits, unpack_car
from ..errors import BlockMismatch, DigestMismatch, TruncatedCar
from ..hub.identity import RepoId
from ..hub.listing import HubFile
from ..store import Store
from ..store.blobs import BlobHasher
from ..store.files import partial_name
from ..threads import finish_in_thread

_INLINE_BYTES = 32 * 1024  # below this a thread costs more than the write


class Unpacker:
    """Writes the files of one CAR stream; a file is published when it is whole, and stays when the stream fails later."""

    def __init__(self, store: Store, repo: RepoId, backend: Backend, on_bytes: Callable[[int], None]) -> None:
        self._store = store
        self._repo = repo
        self._backend = backend
        self._on_bytes = on_bytes
        self._file: HubFile | None = None
        self._stream: BinaryIO | None = None
        self._partial: Path | None = None
        self._hasher: BlobHasher | None = None
        self._written = 0

    async def fetch(self, root: Cid, files: Mapping[str, HubFile], max_bytes: int) -> None:
        """Fetch the DAG `root` that holds exactly `files` (path '' when the root is a file).

        Raises what `unpack_car` raises, BackendUnavailable, and DigestMismatch when the DAG is not what `files` says.
        """
        left = dict(files)
        limits = Limits(max_bytes=max_bytes)
        # Both are async generators: aclosing ends the request when the walk refuses what it reads.
        async with aclosing(cast(Any, self._backend.dag_export(root))) as chunks:
            stream, name, again = cast(AsyncIterator[bytes], chunks), self._backend.name, self._backend.block_get
            events = cast(Any, unpack_car(stream, root, limits=limits, source=name, repeats=again))
            async with aclosing(events):
                try:
                    async for event in events:
                        match event:
                            case FileStart(path, size):
                                await finish_in_thread(self._start, path, size, left.pop(path, None))
                            case FilePiece(data) if len(data) < _INLINE_BYTES:
                                self._write(data)
                            case FilePiece(data):
                                await finish_in_thread(self._write, data)
                            case FileEnd():
                                await finish_in_thread(self._end)
                            case DirectoryFound():
                                pass
                except (BlockMismatch, TruncatedCar) as error:
                    error.path = error.path or (files[""].path if "" in files else "")
                    raise
                finally:
                    self._discard()
        if left:
            raise DigestMismatch(f"{root} from {self._backend.name} lacks {', '.join(sorted(left)[:5])}")

    def _start(self, path: str, size: int, file: HubFile | None) -> None:
        if file is None or file.size != size:
            known = f"{file.size} bytes" if file else "nothing of that name"
            raise DigestMismatch(f"{path or 'the file'} from {self._backend.name}: {size} bytes, the listing has {known}")
        self._file = file
        self._hasher = BlobHasher(file)
        if self._store.adopt(self._repo, file) is None:
            self._partial = partial_name(self._store.staging / file.etag)
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._partial.open("xb")

    def _write(self, data: bytes) -> None:
        if self._stream is not None and self._hasher is not None:
            self._hasher.update(data)
            self._stream.write(data)
            self._written += len(data)
            self._on_bytes(len(data))

    def _end(self) -> None:
        if self._stream is None or self._partial is None or self._hasher is None or self._file is None:
            return
        self._stream.close()
        record = self._hasher.finish(self._backend.name)
        self._store.publish(self._repo, self._file, self._partial, record)
        self._stream = self._partial = None
        self._written = 0

    def _discard(self) -> None:
        """Throw an unfinished file away, and take its bytes back from the count."""
        if self._stream is not None:
            self._stream.close()
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
            self._on_bytes(-self._written)
        self._stream = self._partial = None
        self._written = 0
