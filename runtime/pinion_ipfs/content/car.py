"""Write CARv1 streams of local files: root first, depth first, repeats kept, with flat memory."""

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from .car_header import encode_header
from .cid import RAW, Cid
from .dag_pb import decode_node
from .errors import UnreadableSource
from .hamt import SLOT_DIGITS
from .unixfs import FileLayout, TreeLayout
from .unixfs_pb import DIRECTORY_DATA
from .varint import encode_varint


def car_stream(tree: TreeLayout | FileLayout, open_file: Callable[[str], BinaryIO]) -> Iterator[bytes]:
    """Yield the CAR of a tree: root first, depth first, repeats kept; pieces of one block each.

    `open_file` gets the path in the tree ("" when the tree is one file). Raise UnreadableSource when a file is no longer
    what its layout says.
    """
    if isinstance(tree, FileLayout):
        yield encode_header(tree.cid)
        yield from _file_sections("", tree, open_file)
    else:
        yield encode_header(tree.root)
        yield from _directory_sections("", tree.root, tree, open_file)


def car_size(tree: TreeLayout | FileLayout) -> int:
    """Return the exact number of bytes that `car_stream` yields for a tree."""
    if isinstance(tree, FileLayout):
        return len(encode_header(tree.cid)) + _file_size(tree)
    return len(encode_header(tree.root)) + _directory_size("", tree.root, tree)


def _directory_sections(path: str, cid: Cid, tree: TreeLayout, open_file: Callable[[str], BinaryIO]) -> Iterator[bytes]:
    block = tree.nodes[cid]
    yield section_bytes(cid, block)
    for name, below in _entries(block):
        if layout := tree.files.get(f"{path}{name}"):
            yield from _file_sections(f"{path}{name}", layout, open_file)
        else:
            yield from _directory_sections(f"{path}{name}/" if name else path, below, tree, open_file)


def _entries(block: bytes) -> Iterator[tuple[str, Cid]]:
    """Yield (name, CID) of a directory's links in their order; of a shard below a sharded directory the name is empty."""
    node = decode_node(block)
    skip = 0 if node.data == DIRECTORY_DATA else SLOT_DIGITS
    for link in node.links:
        yield (link.name or "")[skip:], link.cid


def _file_sections(path: str, layout: FileLayout, open_file: Callable[[str], BinaryIO]) -> Iterator[bytes]:
    leaves = iter(enumerate(layout.leaves))
    nodes = iter(layout.nodes)
    with open_file(path) as file:

        def walk() -> Iterator[bytes]:
            cid, block = next(nodes)
            yield section_bytes(cid, block)
            for link in decode_node(block).links:
                if link.cid.codec == RAW:
                    yield leaf()
                else:
                    yield from walk()

        def leaf() -> bytes:
            index, digest = next(leaves)
            data = file.read(layout.leaf_size(index))
            if hashlib.sha256(data).digest() != digest:
                raise UnreadableSource(f"{path or 'the file'}: changed after its CID was computed")
            return section_bytes(Cid.from_digest(RAW, digest), data)

        if layout.nodes:
            yield from walk()
        else:
            yield leaf()


def _directory_size(path: str, cid: Cid, tree: TreeLayout) -> int:
    block = tree.nodes[cid]
    total = _section_size(len(block))
    for name, below in _entries(block):
        if layout := tree.files.get(f"{path}{name}"):
            total += _file_size(layout)
        else:
            total += _directory_size(f"{path}{name}/" if name else path, below, tree)
    return total


def _file_size(layout: FileLayout) -> int:
    last = len(layout.leaves) - 1
    total = last * _section_size(layout.leaf_size(0)) + _section_size(layout.leaf_size(last))
    return total + sum(_section_size(len(block)) for _, block in layout.nodes)


def section_bytes(cid: Cid, block: bytes) -> bytes:
    """Return a block as it stands in a CAR: length, CID, bytes."""
    name = bytes(cid)
    return b"".join((encode_varint(len(name) + len(block)), name, block))


def _section_size(block: int) -> int:
    length = 36 + block
    return len(encode_varint(length)) + length
