"""The verifying walk: turn the blocks of a DAG into files as its maker laid them out, and refuse what is not that DAG."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from .car_blocks import BlockGet, WalkedBlocks, block_of
from .car_reader import read_car
from .car_spool import BlockSpool
from .cid import RAW, Cid
from .dag_pb import Node, decode_node
from .errors import BlockMismatch, MalformedCar, TruncatedCar, UnsupportedDag
from .hamt import ShardEntry, read_shard
from .names import MAX_DEPTH, MAX_ENTRIES, check_name
from .unixfs_pb import FileData, ShardData, decode_data

MAX_FILE_DEPTH = 32  # levels of interior nodes: with two links in each, 4 billion leaves
MAX_FILE_LINKS = 8192  # of one node; Kubo writes 174 by default, and 1024 under the profile unixfs-v1-2025


@dataclass(frozen=True, slots=True)
class Limits:
    """What was announced of a DAG; 0 bytes means unknown. Anything past it is refused before it is given out."""

    max_bytes: int = 0
    max_entries: int = MAX_ENTRIES  # files and directories


@dataclass(frozen=True, slots=True)
class DirectoryFound:
    """A directory, basic or sharded, the root's path being empty; what it holds comes next, in the order of its blocks."""

    path: str
    cid: Cid


@dataclass(frozen=True, slots=True)
class FileStart:
    """A file begins; its path is empty when the root itself is a file. `cid` is what the tree calls it, under any layout."""

    path: str
    size: int
    cid: Cid


@dataclass(frozen=True, slots=True)
class FilePiece:
    """The next verified bytes of the file that began last: those of one block, never none."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file is whole: its pieces are the bytes that `cid` addresses, and as many as it announced."""

    path: str
    cid: Cid


Event = DirectoryFound | FileStart | FilePiece | FileEnd


async def unpack_car(
    chunks: AsyncIterator[bytes],
    root: Cid | None,
    *,
    limits: Limits | None = None,
    source: str = "",
    repeats: BlockGet | None = None,
    elsewhere: BlockGet | None = None,
    spool: BlockSpool | None = None,
) -> AsyncGenerator[Event, None]:
    """Walk a CAR from `root` (None: the one it names) and yield what is in it, verified.

    Blocks come depth first, repeats included (`car-order=dfs&car-dups=y`). Repeats may be left out: those of the last 16 MiB
    are at hand, others are asked of `repeats`. Whatever does not come next is asked of `elsewhere`, which may have any order;
    or the stream is read on until it comes, and what comes meanwhile kept in `spool`.
    Raise UnsupportedDag for what is not read (symlinks, other hashes and codecs, unsafe names, malformed nodes) and what is
    past the limits; BlockMismatch, MalformedCar (another root, a missing or an extra block) or TruncatedCar for what the
    source got wrong; a BlockMismatch names `source`, file and leaf. Closing this generator, or its end, closes `chunks`.
    """
    async with aclosing(read_car(chunks)) as reader:
        walk = DagWalk(chosen_root(await reader.roots(), root), limits or Limits())
        blocks = WalkedBlocks(reader, repeats=repeats, elsewhere=elsewhere, spool=spool)
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


async def walk_dag(root: Cid, block_get: BlockGet, *, limits: Limits | None = None) -> AsyncGenerator[Event, None]:
    """Walk a DAG whose blocks `block_get` gives, verified, and yield what is in it, as `unpack_car` does of a CAR."""
    walk = DagWalk(root, limits or Limits())
    while wanted := walk.wanted:
        try:
            block = await block_of(wanted, block_get)
        except BlockMismatch as error:
            error.path, error.block = walk.place
            raise
        for event in walk.take(wanted, block):
            yield event


def check_file_node(node: Node, data: FileData, *, size: int, depth: int) -> None:
    """Raise UnsupportedDag for a node of a file that is not read: nodes that pass can't make a tree without end.

    `size` is what its parent says, `depth` 1 for the root of the file.
    """
    if data.size != size:
        raise UnsupportedDag(f"a node of {data.size} bytes, where its parent says {size}")
    if depth > MAX_FILE_DEPTH:
        raise UnsupportedDag(f"a file of more than {MAX_FILE_DEPTH} levels")
    if len(node.links) != len(data.block_sizes) or len(node.links) > MAX_FILE_LINKS:
        raise UnsupportedDag(
            f"a file node with {len(node.links)} links and {len(data.block_sizes)} sizes: both the same, up to {MAX_FILE_LINKS}"
        )
    if any(link.name for link in node.links):
        raise UnsupportedDag("a named link inside a file")
    if not all(data.block_sizes):
        raise UnsupportedDag("a part of 0 bytes inside a file")


@dataclass(slots=True)
class _File:
    """A file under way."""

    path: str
    cid: Cid
    size: int
    leaves: int = 0  # that were given out
    done: int = 0  # bytes


@dataclass(frozen=True, slots=True)
class _Want:
    """A block that must come: an entry of a directory, a part of a file with the size that its parent says, or a shard."""

    cid: Cid
    path: str
    depth: int
    file: _File | None = None
    size: int = 0
    slots: bytes = b""  # where a shard lies below its directory's root


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
        return want.path, want.file.leaves if want.file else 0

    def take(self, cid: Cid, block: bytes) -> list[Event]:
        """Take the next block, whose hash the caller has checked; raise as `unpack_car` does."""
        if not self._wanted:
            raise MalformedCar(f"an extra block after the whole DAG: {cid}")
        want = self._wanted[-1]
        if cid != want.cid:
            raise MalformedCar(f"{want.path or 'the root'}: expected block {want.cid}, the stream has {cid}")
        self._wanted.pop()
        try:
            if cid.codec == RAW:
                return self._leaf(want, block)
            return self._node(want, decode_node(block))
        except UnsupportedDag as error:
            raise UnsupportedDag(f"{want.path or '.'}: {error}") from error

    def finish(self) -> None:
        """Raise TruncatedCar when blocks are missing."""
        if self._wanted:
            want = self._wanted[-1]
            raise TruncatedCar(f"{want.path or 'the root'}: the stream ends before block {want.cid}")

    def _node(self, want: _Want, node: Node) -> list[Event]:
        data = decode_data(node.data)
        if want.slots and not isinstance(data, ShardData):
            raise UnsupportedDag("a HAMT shard that is something else")
        if isinstance(data, FileData):
            return self._file_node(want, node, data)
        if want.file:
            raise UnsupportedDag("a directory inside a file")
        return self._shard(want, node, data) if isinstance(data, ShardData) else self._directory(want, node)

    def _directory(self, want: _Want, node: Node) -> list[Event]:
        self._enter(want, len(node.links))
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

    def _shard(self, want: _Want, node: Node, data: ShardData) -> list[Event]:
        entries = read_shard(node, data, want.slots)
        self._enter(want, sum(bool(entry.link.name) for entry in entries))
        self._wanted.extend(self._below_shard(want, entry) for entry in reversed(entries))
        return [] if want.slots else [DirectoryFound(want.path, want.cid)]

    def _below_shard(self, want: _Want, entry: ShardEntry) -> _Want:
        name = entry.link.name
        if not name:
            return _Want(entry.link.cid, want.path, want.depth, slots=entry.slots)
        path = f"{want.path}/{name}" if want.path else name
        check_name(name, path)
        return _Want(entry.link.cid, path, want.depth + 1)

    def _enter(self, want: _Want, entries: int) -> None:
        if want.depth > MAX_DEPTH:
            raise UnsupportedDag(f"more than {MAX_DEPTH} directories below each other")
        self._count(entries + (not want.depth and not want.slots))

    def _leaf(self, want: _Want, block: bytes) -> list[Event]:
        file = want.file
        if file is None:
            file = self._begin(want, len(block))
            return [FileStart(file.path, file.size, file.cid), *self._give(file, block)]
        if len(block) != want.size:
            raise UnsupportedDag(f"a leaf of {len(block)} bytes, where its parent says {want.size}")
        return self._give(file, block)

    def _file_node(self, want: _Want, node: Node, data: FileData) -> list[Event]:
        file = want.file or self._begin(want, data.size)
        depth = want.depth + 1 if want.file else 1
        check_file_node(node, data, size=want.size if want.file else data.size, depth=depth)
        parts = zip(node.links, data.block_sizes, strict=True)
        below = [_Want(link.cid, file.path, depth, file, size) for link, size in parts]
        self._wanted.extend(reversed(below))
        started = [] if want.file else [FileStart(file.path, file.size, file.cid)]
        return [*started, *self._give(file, data.data)]

    def _begin(self, want: _Want, size: int) -> _File:
        if not want.path:
            self._count(1)
        self._bytes += size
        if 0 < self._limits.max_bytes < self._bytes:
            raise UnsupportedDag(f"at least {self._bytes} bytes, where {self._limits.max_bytes} were announced")
        return _File(want.path, want.cid, size)

    def _give(self, file: _File, data: bytes) -> list[Event]:
        """Give bytes out, and the end of the file behind its last ones: each part has as many as its parent says."""
        events: list[Event] = [FilePiece(data)] if data else []
        file.leaves += len(events)
        file.done += len(data)
        if file.done == file.size:
            events.append(FileEnd(file.path, file.cid))
        return events

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > self._limits.max_entries:
            raise UnsupportedDag(f"more than {self._limits.max_entries} files and directories")
