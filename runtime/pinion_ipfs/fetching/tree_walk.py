"""What a tree holds, by its CID alone: directories and the first node of each file, never a leaf."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ..content.car_blocks import BlockGet, block_of
from ..content.cid import RAW, Cid
from ..content.dag_pb import Link, decode_node
from ..content.directories import find_link, list_links
from ..content.names import MAX_DEPTH, MAX_ENTRIES, check_name
from ..content.unixfs_pb import FileData, decode_data
from ..errors import SourceNotFound, UnsupportedDag

_AT_ONCE = 16  # blocks that are asked for at a time
MAX_NODES_BYTES = 256 * 1024 * 1024  # of directories and first nodes of files: what is held in memory
KEPT_LEAVES_BYTES = 32 * 1024 * 1024  # of small files whose first node is their only one: the rest is read again when needed
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a tree, before any byte of it is here; a size is what the nodes above the leaves say."""

    path: str
    size: int
    cid: Cid


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of a tree: its CID, its files by path, and the dag-pb blocks that were met on the way."""

    cid: Cid
    files: Mapping[str, TreeFile]
    nodes: Mapping[Cid, bytes]


async def walk_tree(
    root: Cid, path: str, block_get: BlockGet, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_NODES_BYTES
) -> Tree:
    """List the folder `path` ('' = the root itself) of a tree whose blocks `block_get` gives verified.

    Raise SourceNotFound for a path that is not there, UnsupportedDag for what is no directory, an unsafe name, a symlink, or
    more entries, levels or bytes of nodes than are allowed; and what `block_get` raises.
    """
    walk = _Walk(block_get, max_entries, max_bytes)
    folder = await walk.descend(root, path)
    await walk.fill(folder)
    return Tree(folder, walk.files, walk.nodes)


class _Walk:
    def __init__(self, block_get: BlockGet, max_entries: int, max_bytes: int) -> None:
        self._block_get, self._max_entries, self._max_bytes = block_get, max_entries, max_bytes
        self._bytes = self._leaf_bytes = 0
        self.files: dict[str, TreeFile] = {}
        self.nodes: dict[Cid, bytes] = {}
        self._entries = 1
        self._listed: dict[Cid, list[Link]] = {}  # directories of any level: one may have many names

    async def descend(self, root: Cid, path: str) -> Cid:
        """Return the folder's CID."""
        here, gone = root, ""
        for name in path.split("/") if path else ():
            gone = f"{gone}/{name}" if gone else name
            below = await find_link(here, name, partial(self._node, gone))
            if below is None:
                raise SourceNotFound(f"{root} has no {gone!r}")
            here = below.cid
        return here

    async def fill(self, folder: Cid) -> None:
        """Find every file below a folder, level by level."""
        level = [("", folder)]
        for _ in range(MAX_DEPTH + 1):
            new = {cid: path for path, cid in reversed(level) if cid not in self._listed}
            await _each([partial(self._list, cid, path) for cid, path in new.items()])
            found: list[tuple[str, Link]] = []
            for path, cid in level:
                links = self._listed[cid]
                if new.pop(cid, None) is None:  # listing it has counted its entries under its first name
                    self._count(len(links))
                found += [(f"{path}/{link.name}" if path else str(link.name), link) for link in links]
            kinds = await _each([partial(self._entry, path, link) for path, link in found])
            level = [(path, link.cid) for (path, link), is_folder in zip(found, kinds, strict=True) if is_folder]
            if not level:
                return
        raise UnsupportedDag(f"more than {MAX_DEPTH} directories below each other")

    async def _entry(self, path: str, link: Link) -> bool:
        """Take note of a file, or tell that this is a folder."""
        cid = link.cid
        if cid.codec == RAW:
            # Its link says how large it is, with every program that is known; where it does not, the block itself is asked.
            known = link.tsize is not None and cid.inline is None
            size = link.tsize or 0 if known else len(await block_of(cid, self._block_get))
        else:
            data = decode_data(decode_node(await block_of(cid, partial(self._node, path))).data)
            if not isinstance(data, FileData):
                return True
            size = data.size
        self.files[path] = TreeFile(path, size, cid)
        return False

    async def _list(self, cid: Cid, path: str) -> None:
        """Take note of the entries of a directory, basic or sharded, each name checked."""
        # What is left of the budget: a directory that alone is past it is not listed to its end.
        left = self._max_entries - self._entries
        links = await list_links(cid, partial(self._node, path), max_entries=left)
        self._count(len(links))
        seen: set[str] = set()
        for link in links:
            name = link.name or ""
            check_name(name, f"{path}/{name}" if path else name)
            if name in seen:
                raise UnsupportedDag(f"{path or 'the root'}: the name {name!r} comes twice")
            seen.add(name)
        self._listed[cid] = links

    def _count(self, entries: int) -> None:
        """Count entries; raise UnsupportedDag once there are too many, before more directories are read."""
        self._entries += entries
        if self._entries > self._max_entries:
            raise UnsupportedDag(f"more than {self._max_entries} files and directories")

    async def _node(self, path: str, cid: Cid) -> bytes:
        if cid in self.nodes:
            return self.nodes[cid]
        block = await self._block_get(cid)
        is_leaf = not decode_node(block).links
        if is_leaf and self._leaf_bytes + len(block) > KEPT_LEAVES_BYTES:
            return block
        self._leaf_bytes += len(block) if is_leaf else 0
        self._bytes += len(block)
        if self._bytes > self._max_bytes:
            raise UnsupportedDag(f"{path or 'the root'}: directories and nodes of more than {self._max_bytes} bytes")
        self.nodes[cid] = block
        return block


async def _each(calls: Sequence[Callable[[], Awaitable[_T]]]) -> list[_T]:
    """Make the calls, a few at a time, and return what they give in order; the first error ends the others."""
    results: list[_T] = []
    for start in range(0, len(calls), _AT_ONCE):
        tasks = [asyncio.ensure_future(_awaited(call)) for call in calls[start : start + _AT_ONCE]]
        try:
            results += await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
    return results


async def _awaited(call: Callable[[], Awaitable[_T]]) -> _T:
    return await call()
