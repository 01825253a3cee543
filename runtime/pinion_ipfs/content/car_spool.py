"""Blocks of a stream that came before their turn, in a temporary file without a name: whatever the order, memory stays flat."""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from ..threads import finish_in_thread
from .car_index import MAX_BLOCKS
from .cid import Cid
from .errors import BlockMismatch, MalformedCar

MAX_SPOOL_BYTES = 16 * 1024**3


class BlockSpool:
    """Keeps verified blocks, each once, within a bound of bytes and of blocks; the file is made with the first, in `folder`.

    `folder` None means the system's place for temporary files.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int = MAX_SPOOL_BYTES, max_blocks: int = MAX_BLOCKS) -> None:
        self._folder, self._max_bytes, self._max_blocks = folder, max_bytes, max_blocks
        self._file = -1
        self._end = 0
        self._places: dict[tuple[int, bytes], tuple[int, int]] = {}  # (codec, digest) -> (offset, length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __bool__(self) -> bool:
        return bool(self._places)

    def __contains__(self, cid: Cid) -> bool:
        return (cid.codec, cid.digest) in self._places

    def has_room(self, block: bytes) -> bool:
        """Tell whether one more block is within the bounds."""
        return self._end + len(block) <= self._max_bytes and len(self._places) < self._max_blocks

    async def put(self, cid: Cid, block: bytes) -> None:
        """Keep a block; raise MalformedCar when there are too many, OSError as the system says."""
        if cid in self or cid.inline is not None:
            return
        if not self.has_room(block):
            error = MalformedCar(
                f"not depth first (order=dfs), and more than {self._max_bytes} bytes or {self._max_blocks} blocks come before "
                "their turn"
            )
            error.in_another_order = True
            raise error
        await finish_in_thread(self._write, block)
        self._places[cid.codec, cid.digest] = self._end, len(block)
        self._end += len(block)

    async def get(self, cid: Cid) -> bytes:
        """Return a block that was kept, hashed once more; raise BlockMismatch when the disk gives another."""
        return await finish_in_thread(self._read, cid)

    def close(self) -> None:
        """Give the file's space back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, block: bytes) -> None:
        if self._file < 0:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._file = os.dup(file.fileno())
        view, position = memoryview(block), self._end
        while view:
            written = os.pwrite(self._file, view, position)
            view, position = view[written:], position + written

    def _read(self, cid: Cid) -> bytes:
        start, length = self._places[cid.codec, cid.digest]
        data = b""
        while len(data) < length and (piece := os.pread(self._file, length - len(data), start + len(data))):
            data += piece
        if (actual := cid.of_other(data)) != cid:
            raise BlockMismatch("a block in a temporary file", expected=cid, actual=actual)
        return data
