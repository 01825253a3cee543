"""The verifying walk: turn the blocks of a depth-first CAR into files, and refuse what is not exactly the DAG it should be."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from .car_blocks import BlockGet, WalkedBlocks
from .car_reader import read_car
from .cid import RAW, Cid
from .dag_pb import Node, decode_node
from .errors import BlockMismatch, MalformedCar, TruncatedCar, UnsupportedDag
from .leaves import CHUNK
from .names import MAX_DEPTH, MAX_ENTRIES, check_name
from .unixfs import MAX_DIRECTORY_BLOCK, MAX_LINKS, FileLayout, layout_leaves
from .unixfs_pb import FileData, decode_data

MAX_FILE_DEPTH = 5  # levels of interior nodes: 1024^5 MiB


@dataclass(frozen=True, slots=True)
class Limits:
    """What was announced of a DAG; 0 bytes means unknown. Anything past it is refused before it is given out."""

    max_bytes: int = 0
    max_entries: int = MAX_ENTRIES  # files and directories


@dataclass(frozen=True, slots=True)
class DirectoryFound:
    """A directory, the root's path being empty; what it holds comes next."""

    path: str
    cid: Cid


@dataclass(frozen=True, slots=True)
class FileStart:
    """A file begins; its path is empty when the root itself is a file."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class FilePiece:
    """The next verified bytes of the file that began last: one leaf."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file is whole; `layout` is its DAG under the profile, and its CID the one that the directory links to."""

    path: str
    layout: FileLayout


Event = DirectoryFound | FileStart | FilePiece | FileEnd


async def unpack_car(
    chunks: AsyncIterator[bytes],
    root: Cid | None,
    *,
    limits: Limits | None = None,
    source: str = "",
    repeats: BlockGet | None = None,
    elsewhere: BlockGet | None = None,
) -> AsyncGenerator[Event, None]:
    """Walk a CAR from `root` (None: the one it names) and yield what is in it, verified.

    Blocks come depth first, repeats included (`car-order=dfs&car-dups=y`). Repeats may be left out: those of the last 16 MiB
    are at hand, others are asked of `repeats`. Whatever does not come next is asked of `elsewhere`, which may have any order.
    Raise UnsupportedDag for what the profile has not (symlinks, HAMT shards, dag-pb leaves, unsafe names) and what is
    past the limits; BlockMismatch, MalformedCar (another root, a missing or an extra block) or TruncatedCar for what the
    source got wrong; a BlockMismatch names `source`, file and leaf. Closing this generator, or its end, closes `chunks`.
    """
    async with aclosing(read_car(chunks)) as reader:
        walk = DagWalk(chosen_root(await reader.roots(), root), limits or Limits())
        blocks = WalkedBlocks(reader, repeats=repeats, elsewhere=elsewhere)
        try:
            while wanted := walk.wanted:
                for event in walk.take(wanted, await blocks.next(wanted, walk.place[0])):
                    yield event
            await blocks.finish()
        except BlockMismatch as error:
            # All blocks before the wrong one have been taken: it stands where the walk goes on.
            error.source = error.source or source
            error.path, error.block = walk.place
            raise
        except TruncatedCar as error:
            error.cid, (error.path, error.block) = walk.wanted, walk.place
            raise


def chosen_root(roots: Sequence[Cid], wanted: Cid | None) -> Cid:
    """Return which root of a CAR to walk from; raise MalformedCar when it is none of them, or when that is not said."""
    if wanted is None:
        if len(roots) == 1:
            return roots[0]
        shown = ", ".join(map(str, roots)) or "no root"
        raise MalformedCar(f"a CAR of {len(roots)} roots, {shown}: one has to be chosen (--root)")
    if roots and wanted not in roots:
        raise MalformedCar(f"a CAR of {', '.join(map(str, roots))} instead of {wanted}")
    return wanted


@dataclass(slots=True)
class _File:
    """A file under way."""

    path: str
    cid: Cid
    size: int
    leaves: list[bytes]
    done: int = 0


@dataclass(frozen=True, slots=True)
class _Want:
    """A block that must come: an entry of a directory (no file yet), or a part of a file with the size that its parent says."""

    cid: Cid
    path: str
    depth: int
    file: _File | None = None
    size: int = 0


class DagWalk:
    """The order in which a DAG's blocks must come. It does no I/O: give it verified blocks, take events from it."""

    def __init__(self, root: Cid, limits: Limits) -> None:
        self._limits = limits
        self._wanted: list[_Want] = [_Want(root, "", 0)]  # a stack: the next one is last
        self._bytes = 0
        self._entries = 0

    @property
    def wanted(self) -> Cid | None:
        """Return the block that must come next, or None when the DAG is whole."""
        return self._wanted[-1].cid if self._wanted else None

    @property
    def place(self) -> tuple[str, int | None]:
        """Return the path, and the index of the leaf in its file, of the block that must come next."""
        if not self._wanted:
            return "", None
        want = self._wanted[-1]
        if want.cid.codec != RAW:
            return want.path, None
        return want.path, len(want.file.leaves) if want.file else 0

    def take(self, cid: Cid, block: bytes) -> list[Event]:
        """Take the next block, whose hash the caller has checked; raise as `unpack_car` does."""
        if not self._wanted:
            raise MalformedCar(f"an extra block after the whole DAG: {cid}")
        want = self._wanted[-1]
        if cid != want.cid:
            raise MalformedCar(f"{want.path or 'the root'}: expected block {want.cid}, the stream has {cid}")
        self._wanted.pop()
        try:
            if want.file is not None:
                return self._part(want, want.file, block)
            if cid.codec == RAW:
                return self._single_leaf(want, block)
            return self._entry(want, block)
        except UnsupportedDag as error:
            raise UnsupportedDag(f"{want.path or '.'}: {error}") from error

    def finish(self) -> None:
        """Raise TruncatedCar when blocks are missing."""
        if self._wanted:
            want = self._wanted[-1]
            raise TruncatedCar(f"{want.path or 'the root'}: the stream ends before block {want.cid}")

    def _single_leaf(self, want: _Want, block: bytes) -> list[Event]:
        file = self._begin(want, len(block))
        return [FileStart(file.path, file.size), *self._leaf(file, want.cid, block)]

    def _entry(self, want: _Want, block: bytes) -> list[Event]:
        node = decode_node(block)
        data = decode_data(node.data)
        if data is None:
            return self._directory(want, node, block)
        file = self._begin(want, data.size)
        self._descend(want, file, node, data)
        return [FileStart(file.path, file.size)]

    def _directory(self, want: _Want, node: Node, block: bytes) -> list[Event]:
        if want.depth > MAX_DEPTH:
            raise UnsupportedDag(f"more than {MAX_DEPTH} directories below each other")
        if len(block) > MAX_DIRECTORY_BLOCK:
            raise UnsupportedDag(f"a directory block of {len(block)} bytes: the profile would make it a HAMT shard")
        self._count(len(node.links) + (not want.depth))
        previous: bytes | None = None
        below: list[_Want] = []
        for link in node.links:
            name = link.name or ""
            path = f"{want.path}/{name}" if want.path else name
            check_name(name, path)
            encoded = name.encode()
            if previous is not None and encoded <= previous:
                raise UnsupportedDag(f"the name {name!r} comes twice" if encoded == previous else "entries out of order")
            previous = encoded
            below.append(_Want(link.cid, path, want.depth + 1))
        self._wanted.extend(reversed(below))
        return [DirectoryFound(want.path, want.cid)]

    def _begin(self, want: _Want, size: int) -> _File:
        if not want.path:
            self._count(1)
        self._bytes += size
        if 0 < self._limits.max_bytes < self._bytes:
            raise UnsupportedDag(f"at least {self._bytes} bytes, where {self._limits.max_bytes} were announced")
        return _File(want.path, want.cid, size, [])

    def _part(self, want: _Want, file: _File, block: bytes) -> list[Event]:
        if want.cid.codec == RAW:
            if len(block) != want.size:
                raise UnsupportedDag(f"a leaf of {len(block)} bytes, where its parent says {want.size}")
            return self._leaf(file, want.cid, block)
        node = decode_node(block)
        data = decode_data(node.data)
        if data is None:
            raise UnsupportedDag("a directory inside a file")
        if data.size != want.size:
            raise UnsupportedDag(f"a node of {data.size} bytes, where its parent says {want.size}")
        self._descend(want, file, node, data)
        return []

    def _descend(self, want: _Want, file: _File, node: Node, data: FileData) -> None:
        depth = want.depth + 1 if want.file else 1
        if depth > MAX_FILE_DEPTH:
            raise UnsupportedDag(f"a file of more than {MAX_FILE_DEPTH} levels")
        if not node.links:
            raise UnsupportedDag("a dag-pb leaf: only raw leaves are supported")
        if len(node.links) != len(data.block_sizes) or len(node.links) > MAX_LINKS:
            raise UnsupportedDag(
                f"a file node with {len(node.links)} links and {len(data.block_sizes)} sizes: both the same, up to {MAX_LINKS}"
            )
        if any(link.name for link in node.links):
            raise UnsupportedDag("a named link inside a file")
        parts = zip(node.links, data.block_sizes, strict=True)
        below = [_Want(link.cid, file.path, depth, file, size) for link, size in parts]
        self._wanted.extend(reversed(below))

    def _leaf(self, file: _File, cid: Cid, block: bytes) -> list[Event]:
        if len(block) != min(CHUNK, file.size - file.done):
            raise UnsupportedDag(f"a leaf of {len(block)} bytes: the profile has leaves of {CHUNK}, the last one excepted")
        file.leaves.append(cid.digest)
        file.done += len(block)
        if file.done < file.size:
            return [FilePiece(block)]
        layout = layout_leaves(file.leaves, file.size)
        if layout.cid != file.cid:
            raise UnsupportedDag(f"the file is laid out as {file.cid}, where the profile gives {layout.cid}")
        return [FilePiece(block), FileEnd(file.path, layout)]

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > self._limits.max_entries:
            raise UnsupportedDag(f"more than {self._limits.max_entries} files and directories")
