"""UnixFS layouts under the profile unixfs-v1-2025: 1 MiB raw leaves, 1024 links per node, balanced, shards."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cid import DAG_PB, RAW, Cid
from .dag_pb import Link, encode_node
from .errors import UnsupportedDag
from .hamt import build_shards
from .leaves import CHUNK, FileSpan, hash_files
from .names import check_name
from .unixfs_pb import DIRECTORY_DATA, encode_file_data

MAX_LINKS = 1024
MAX_DIRECTORY_BLOCK = 262_144  # bytes; a directory whose block would have more is sharded (HAMT)


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The DAG of one file: digests of its leaves in order, and its interior nodes in depth-first order, repeats kept."""

    cid: Cid
    size: int
    leaves: tuple[bytes, ...]
    nodes: tuple[tuple[Cid, bytes], ...]

    @property
    def dag_size(self) -> int:
        """Return the bytes of all blocks, as a link's Tsize counts them."""
        return self.size + sum(len(block) for _, block in self.nodes)

    def leaf_size(self, index: int) -> int:
        """Return the bytes of one leaf."""
        return min(CHUNK, self.size - index * CHUNK)


@dataclass(frozen=True, slots=True)
class TreeLayout:
    """The DAG of a directory: its files by path relative to the root (`/` between names), and the blocks of its directories."""

    root: Cid
    size: int
    files: Mapping[str, FileLayout]
    nodes: Mapping[Cid, bytes]


class FileHasher:
    """Compute the layout of a file that arrives in pieces of any size; memory is one digest per MiB."""

    def __init__(self) -> None:
        self._size = 0
        self._leaves: list[bytes] = []
        self._leaf = hashlib.sha256()

    @property
    def size(self) -> int:
        """Return the bytes that were taken."""
        return self._size

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the file."""
        view = memoryview(data).cast("B")
        while view:
            space = CHUNK - self._size % CHUNK
            piece = view[:space]
            self._leaf.update(piece)
            self._size += len(piece)
            view = view[space:]
            if self._size % CHUNK == 0:
                self._close_leaf()

    def finish(self) -> FileLayout:
        """Return the layout of everything that was taken."""
        if self._size % CHUNK or not self._size:
            self._close_leaf()
        return layout_leaves(self._leaves, self._size)

    def _close_leaf(self) -> None:
        self._leaves.append(self._leaf.digest())
        self._leaf = hashlib.sha256()


def layout_file(path: Path) -> FileLayout:
    """Hash a file, links followed, in parallel threads; memory stays flat. Raise UnreadableSource when it changes meanwhile."""
    return layout_files([path])[0]


def layout_files(paths: Sequence[Path], on_bytes: Callable[[int], None] = lambda count: None) -> list[FileLayout]:
    """Hash files, links followed, all of them in the same few threads; the layouts come in the order of `paths`.

    `on_bytes` is told of each leaf that was hashed, in any thread.
    """
    spans: list[FileSpan] = hash_files(paths, on_bytes=on_bytes)
    return [layout_leaves(span.digests, span.size) for span in spans]


def layout_leaves(leaves: Sequence[bytes], size: int, *, max_links: int = MAX_LINKS) -> FileLayout:
    """Build the balanced tree over leaf digests; `size` is the file's, and all leaves but the last hold 1 MiB.

    Another `max_links` than the profile's gives the tree of `ipfs add --max-file-links`.
    """
    if len(leaves) != max(1, -(-size // CHUNK)):
        raise ValueError(f"{len(leaves)} leaves for {size} bytes")
    if len(leaves) == 1:
        return FileLayout(Cid.from_digest(RAW, leaves[0]), size, tuple(leaves), ())
    # Each entry is a subtree: (cid, file bytes, DAG bytes, its interior nodes in depth-first order).
    level: list[_Subtree] = [
        (Cid.from_digest(RAW, digest), min(CHUNK, size - index * CHUNK), min(CHUNK, size - index * CHUNK), [])
        for index, digest in enumerate(leaves)
    ]
    while len(level) > 1:
        level = [_join(level[start : start + max_links]) for start in range(0, len(level), max_links)]
    cid, _, _, nodes = level[0]
    return FileLayout(cid, size, tuple(leaves), tuple(nodes))


_Subtree = tuple[Cid, int, int, list[tuple[Cid, bytes]]]


def _join(children: Sequence[_Subtree]) -> _Subtree:
    block = encode_node(
        (Link(cid, "", dag_size) for cid, _, dag_size, _ in children),
        encode_file_data([size for _, size, _, _ in children]),
    )
    cid = Cid.of_block(DAG_PB, block)
    nodes = [(cid, block)]
    for _, _, _, below in children:
        nodes.extend(below)
    return cid, sum(child[1] for child in children), len(block) + sum(child[2] for child in children), nodes


def layout_tree(files: Mapping[str, FileLayout], directories: Iterable[str] = ()) -> TreeLayout:
    """Build the directories over files; `directories` names those that may be empty.

    Paths are relative, `/` between names. A directory whose block would be over 262,144 bytes is sharded. Raise UnsupportedDag
    for an unsafe name, a name that is file and directory, and names that no sharded directory can hold both.
    """
    root = _Directory()
    for path in directories:
        root.descend(path, path.split("/"))
    for path, layout in files.items():
        *parents, name = path.split("/")
        root.descend(path, parents).put(path, name, layout)
    nodes: dict[Cid, bytes] = {}
    cid, _ = root.encode(nodes)
    return TreeLayout(cid, sum(layout.size for layout in files.values()), dict(files), nodes)


class _Directory:
    """A directory while its tree is built."""

    def __init__(self) -> None:
        self._entries: dict[str, _Directory | FileLayout] = {}

    def descend(self, path: str, names: Sequence[str]) -> "_Directory":
        here = self
        for name in names:
            check_name(name, path)
            below = here._entries.setdefault(name, _Directory())
            if not isinstance(below, _Directory):
                raise UnsupportedDag(f"{path}: {name!r} is a file and a directory")
            here = below
        return here

    def put(self, path: str, name: str, layout: FileLayout) -> None:
        check_name(name, path)
        if name in self._entries:
            raise UnsupportedDag(f"{path}: {name!r} is a file and a directory")
        self._entries[name] = layout

    def encode(self, nodes: dict[Cid, bytes]) -> tuple[Cid, int]:
        """Add the blocks of this directory and those below it to `nodes`; return (cid, DAG bytes)."""
        links = []
        for name, entry in sorted(self._entries.items(), key=lambda item: item[0].encode()):
            if isinstance(entry, _Directory):
                cid, dag_size = entry.encode(nodes)
            else:
                cid, dag_size = entry.cid, entry.dag_size
            links.append(Link(cid, name, dag_size))
        block = encode_node(links, DIRECTORY_DATA)
        if len(block) > MAX_DIRECTORY_BLOCK:
            return build_shards(links, nodes)
        cid = Cid.of_block(DAG_PB, block)
        nodes[cid] = block
        return cid, len(block) + sum(link.tsize or 0 for link in links)
