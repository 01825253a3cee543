"""Files on disk against the DAG that they should be: which of them is wrong, from which block on, and what can't be told.

Only directories and interior nodes are asked for: they name each leaf, and the leaves of the files are hashed here. A DAG of
another layout than the profile's is compared by the sizes that its own nodes say.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .car_blocks import BlockGet
from .cid import RAW, Cid
from .dag_pb import Link, Node, decode_node, encode_node
from .directories import list_links
from .errors import ContentError, UnsupportedDag
from .leaves import CHUNK
from .names import MAX_DEPTH, check_name
from .unixfs import FileLayout
from .unixfs_pb import FileData, decode_data
from .varint import encode_varint
from .verify import check_file_node


class Kind(StrEnum):
    """What is wrong at a path."""

    DIFFERENT = "Different"  # a file with another block, more bytes or fewer
    NOT_A_FILE = "NotAFile"  # a file in the DAG, a directory in the folder
    NOT_A_DIRECTORY = "NotADirectory"  # the other way round
    MISSING = "Missing"  # the DAG has it, the folder has not
    EXTRA = "Extra"  # the other way round
    UNKNOWN = "Unknown"  # nobody has the blocks that would tell


@dataclass(frozen=True, slots=True)
class Difference:
    """What is wrong at one path ('' being the root), and for a file where: its first wrong block, which begins at `offset`.

    Sizes are in bytes, None where they are not known. `reason` says why more is not known.
    """

    path: str
    kind: Kind
    block: int | None = None
    offset: int | None = None
    expected: Cid | None = None
    actual: Cid | None = None
    expected_size: int | None = None
    actual_size: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LocalTree:
    """What lies on disk, hashed: files by path, '' for one that is the root itself, and directories without the root."""

    places: Mapping[str, Path]
    layouts: Mapping[str, FileLayout]
    directories: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf of a file as the DAG has it; its size is not known when it is the whole file. `node`: its bytes lie in dag-pb."""

    cid: Cid
    offset: int
    size: int | None
    node: Node | None = None


async def differences(root: Cid, tree: LocalTree, block_get: BlockGet) -> AsyncIterator[Difference]:
    """Yield what is wrong, in the order of the DAG; nothing when the folder holds what the DAG holds.

    Raise ContentError when the root's own block can't be had, UnsupportedDag for a form that is not read here, by its path.
    """
    wanted: list[tuple[str, Cid, int | None]] = [("", root, None)]
    below = _below(tree)
    while wanted:
        path, cid, said = wanted.pop()  # a raw leaf's size is known by what its directory says alone
        if path.count("/") > MAX_DEPTH:
            raise UnsupportedDag(f"{path[:200]!r}: more than {MAX_DEPTH} directories below each other")
        if (layout := tree.layouts.get(path)) and layout.cid == cid:
            continue
        try:
            entries = await _entries(cid, block_get)
        except UnsupportedDag as error:
            raise UnsupportedDag(f"{path or '.'}: {error}") from error
        except ContentError as error:
            if not path:
                raise
            actual = layout.cid if layout else None
            yield Difference(path, Kind.UNKNOWN, expected=cid, actual=actual, reason=str(error))
            continue
        is_directory = path in tree.directories or (not path and "" not in tree.layouts)
        if entries is None:
            if layout:
                if found := await _file_difference(path, cid, said, tree.places[path], layout, block_get):
                    yield found
            else:
                kind = Kind.NOT_A_FILE if is_directory else Kind.MISSING
                yield Difference(path, kind, expected=cid, expected_size=said)
            continue
        if layout:
            yield Difference(path, Kind.NOT_A_DIRECTORY, expected=cid, actual=layout.cid, actual_size=layout.size)
            continue
        if not is_directory:
            yield Difference(path, Kind.MISSING, expected=cid)
            continue
        prefix = f"{path}/" if path else ""
        for name in sorted(below.get(path, frozenset()) - entries.keys()):
            extra = tree.layouts.get(f"{prefix}{name}")
            actual, size = (extra.cid, extra.size) if extra else (None, None)
            yield Difference(f"{prefix}{name}", Kind.EXTRA, actual=actual, actual_size=size)
        wanted.extend(
            (f"{prefix}{name}", link.cid, link.tsize if link.cid.codec == RAW else None)
            for name, link in reversed(entries.items())
        )


def _below(tree: LocalTree) -> dict[str, set[str]]:
    """Return the names that lie in each directory itself."""
    names: dict[str, set[str]] = {}
    for path in (*tree.layouts, *tree.directories):
        above, _, name = path.rpartition("/")
        names.setdefault(above, set()).add(name)
    return names


async def _entries(cid: Cid, block_get: BlockGet) -> dict[str, Link] | None:
    """Return what a directory holds by name, None for a file."""
    if cid.codec == RAW or isinstance(decode_data(decode_node(await block_get(cid)).data), FileData):
        return None
    entries: dict[str, Link] = {}
    for link in await list_links(cid, block_get):
        name = link.name or ""
        check_name(name, name)
        if name in entries:
            raise UnsupportedDag(f"the name {name!r} comes twice")
        entries[name] = link
    return entries


async def _file_difference(
    path: str, cid: Cid, said: int | None, place: Path, layout: FileLayout, block_get: BlockGet
) -> Difference | None:
    """Return the first wrong block of a file, None when all its bytes are right."""
    end, index, size = 0, 0, said
    try:
        if cid.codec != RAW:
            size = (await _node(cid, block_get))[1].size
        async for leaf in _leaves(cid, block_get):
            right, actual = await asyncio.to_thread(_compare, place, leaf, layout)
            if not right:
                return Difference(path, Kind.DIFFERENT, index, leaf.offset, leaf.cid, actual, size, layout.size)
            end, index = leaf.offset + (layout.size if leaf.size is None else leaf.size), index + 1
    except UnsupportedDag as error:
        raise UnsupportedDag(f"{path or '.'}: {error}") from error
    except ContentError as error:
        return Difference(
            path,
            Kind.UNKNOWN,
            index or None,
            end or None,
            expected=cid,
            actual=layout.cid,
            expected_size=size,
            actual_size=layout.size,
            reason=str(error),
        )
    if end != layout.size:  # all that should be there is there, and more
        return Difference(path, Kind.DIFFERENT, index, end, None, None, size, layout.size)
    return None


async def _node(cid: Cid, block_get: BlockGet) -> tuple[Node, FileData]:
    node = decode_node(await block_get(cid))
    data = decode_data(node.data)
    if not isinstance(data, FileData):
        raise UnsupportedDag(f"{cid}: not a node of a file")
    return node, data


async def _leaves(root: Cid, block_get: BlockGet) -> AsyncIterator[_Leaf]:
    """Yield the leaves of a file in order."""
    wanted: list[tuple[Cid, int | None, int]] = [(root, None, 1)]
    offset = 0
    while wanted:
        cid, size, depth = wanted.pop()
        if cid.codec == RAW:
            yield _Leaf(cid, offset, size)
            offset += size or 0
            continue
        node, data = await _node(cid, block_get)
        check_file_node(node, data, size=data.size if size is None else size, depth=depth)
        if data.data or not node.links:
            yield _Leaf(cid, offset, len(data.data), node)
            offset += len(data.data)
        parts = zip(node.links, data.block_sizes, strict=True)
        wanted.extend((link.cid, part, depth + 1) for link, part in reversed(list(parts)))


def _compare(place: Path, leaf: _Leaf, layout: FileLayout) -> tuple[bool, Cid | None]:
    """Tell whether a file has a leaf's bytes in its place, and else what it has there, None where it ends before."""
    size = max(0, min(layout.size if leaf.size is None else leaf.size, layout.size - leaf.offset))
    if leaf.size and not size:
        return False, None
    if leaf.node is not None:
        found, data = _read(place, leaf.offset, size), decode_data(leaf.node.data)
        right = isinstance(data, FileData) and found == data.data
        return right, leaf.cid if right else _leaf_of(leaf, found)
    if leaf.cid.inline is not None:
        actual = leaf.cid.of_other(_read(place, leaf.offset, size))
    else:
        index, within = divmod(leaf.offset, CHUNK)
        known = not within and index < len(layout.leaves) and size == layout.leaf_size(index)
        actual = Cid.from_digest(RAW, layout.leaves[index]) if known else _hash(place, leaf.offset, size)
    return actual == leaf.cid, actual


def _leaf_of(leaf: _Leaf, found: bytes) -> Cid | None:
    """Return the CID that other bytes have as such a leaf; None for a node with more below it."""
    if leaf.node is None or leaf.node.links or leaf.node.data is None:
        return None
    size = encode_varint(len(found))
    message = leaf.node.data[:2] + (b"\x12" + size + found if found else b"") + b"\x18" + size
    return leaf.cid.of_other(encode_node((), message))


def _read(place: Path, offset: int, size: int) -> bytes:
    with place.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _hash(place: Path, offset: int, size: int) -> Cid:
    digest = hashlib.sha256()
    with place.open("rb") as file:
        file.seek(offset)
        while size and (piece := file.read(min(size, CHUNK))):
            digest.update(piece)
            size -= len(piece)
    return Cid.from_digest(RAW, digest.digest())
