"""CARs that a caller gives, read as a whole before any backend is asked: a wrong one is the caller's mistake alone."""

import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from ..backends.base import CarSource
from ..content.car import section_bytes
from ..content.car_header import encode_header
from ..content.car_index import MAX_BLOCKS, CarIndex
from ..content.car_reader import read_car
from ..content.cid import DAG_PB, Cid
from ..content.dag_pb import decode_node
from ..content.errors import MalformedCar, TruncatedCar, UnreadableSource
from ..content.unixfs import TreeLayout
from ..threads import in_thread

_PIECE = 1024 * 1024


class ReadCar:
    """The DAG below the one root of a CAR, in memory or in a file; blocks may have any order, repeats may be left out."""

    def __init__(self, open_chunks: Callable[[], AsyncIterator[bytes]], index: CarIndex | None = None) -> None:
        self._open = open_chunks
        self._index = index
        self._blocks: dict[Cid, bytes] = {}

    @classmethod
    def of_bytes(cls, data: bytes) -> "ReadCar":
        """Read a CAR in memory."""
        return cls(lambda: _slices(data))

    @classmethod
    def of_file(cls, path: Path) -> "ReadCar":
        """Read a CAR in a file, as often as a backend asks for it; raise UnreadableSource for what can't be read twice."""
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(
            mode
        ):  # a directory is refused where it is opened
            raise UnreadableSource(f"{path}: no regular file, which can be read more than once")
        return cls(lambda: in_thread(lambda: _read(path)), CarIndex(path))

    async def source(self) -> CarSource:
        """Return what backends take; raise MalformedCar or UnsupportedDag for a CAR that is not whole and right."""
        reader = read_car(self._open())
        try:
            roots = await reader.roots()
            if len(roots) != 1:
                raise MalformedCar(f"{len(roots)} roots: a CAR of one is taken")
            if self._index is None:
                async for cid, block in reader:
                    self._blocks[cid] = block
                    if len(self._blocks) > MAX_BLOCKS:
                        raise MalformedCar(f"more than {MAX_BLOCKS} different blocks")
        finally:
            await reader.aclose()
        (root,) = roots
        return await source_of_blocks(root, self._block if self._index is None else self._index.block_get)

    def close(self) -> None:
        """Close the file."""
        if self._index is not None:
            self._index.close()

    async def _block(self, cid: Cid) -> bytes:
        if cid.inline is not None:
            return cid.inline
        if cid not in self._blocks:
            raise TruncatedCar(f"block {cid} is not in the CAR")
        return self._blocks[cid]


async def source_of_blocks(root: Cid, block_get: Callable[[Cid], Awaitable[bytes]]) -> CarSource:
    """Return what backends take of a DAG whose blocks can be had one by one; they are had once now, for their size."""
    size = 0
    async for piece in _once_each(root, block_get):
        size += len(piece)
    return CarSource(TreeLayout(root, size, {}, {}), size, lambda: _once_each(root, block_get))


async def _once_each(root: Cid, block_get: Callable[[Cid], Awaitable[bytes]]) -> AsyncGenerator[bytes, None]:
    """Yield a CAR, depth first, with each block once: a few that are linked to again and again can't make it endless."""
    yield encode_header(root)
    seen: set[Cid] = set()
    wanted = [root]
    while wanted:
        cid = wanted.pop()
        if cid in seen:
            continue
        seen.add(cid)
        if len(seen) > MAX_BLOCKS:
            raise MalformedCar(f"more than {MAX_BLOCKS} different blocks")
        block = await block_get(cid)
        if cid.codec == DAG_PB:
            wanted.extend(link.cid for link in reversed(decode_node(block).links))
        if cid.inline is None:
            yield section_bytes(cid, block)


async def _slices(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
