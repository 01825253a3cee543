"""CARs and DAGs for tests, made by hand so that they can be wrong in exactly one place."""

from collections.abc import AsyncIterator, Iterable
from io import BytesIO
from typing import BinaryIO

from pinion_ipfs.content.car import car_stream
from pinion_ipfs.content.car_header import encode_header
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs import FileHasher, FileLayout, TreeLayout, layout_tree
from pinion_ipfs.content.unixfs_pb import DIRECTORY_DATA
from pinion_ipfs.content.varint import encode_varint
from pinion_ipfs.content.verify import FileEnd, FilePiece, FileStart, Limits, unpack_car

Block = tuple[Cid, bytes]


async def in_chunks(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """Yield bytes as a network would, in pieces of `size`."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def layout_bytes(data: bytes) -> FileLayout:
    """Return the layout of bytes in memory."""
    hasher = FileHasher()
    hasher.update(data)
    return hasher.finish()


def make_tree(files: dict[str, bytes], directories: Iterable[str] = ()) -> TreeLayout:
    """Return the tree of files in memory."""
    return layout_tree({path: layout_bytes(data) for path, data in files.items()}, directories)


def make_car(files: dict[str, bytes], directories: Iterable[str] = ()) -> tuple[Cid, bytes]:
    """Return the root and the CAR of files in memory."""
    tree = make_tree(files, directories)

    def open_file(path: str) -> BinaryIO:
        return BytesIO(files[path])

    return tree.root, b"".join(car_stream(tree, open_file))


def leaf(data: bytes) -> Block:
    """Return a raw block."""
    return Cid.of_block(RAW, data), data


def node(data: bytes | None, *links: Link) -> Block:
    """Return a dag-pb block."""
    block = encode_node(links, data)
    return Cid.of_block(DAG_PB, block), block


def directory(*entries: tuple[str, Block]) -> Block:
    """Return a directory with its entries in the order given, whatever their names."""
    return node(DIRECTORY_DATA, *(Link(cid, name, len(data)) for name, (cid, data) in entries))


def section(block: Block) -> bytes:
    """Return a block as it stands in a CAR."""
    name = bytes(block[0])
    return encode_varint(len(name) + len(block[1])) + name + block[1]


def car_of(root: Cid, *blocks: Block) -> bytes:
    """Return a CAR of blocks in the order given."""
    return encode_header(root) + b"".join(section(block) for block in blocks)


async def unpack(car: bytes, root: Cid, limits: Limits | None = None, chunk: int = 65_536) -> dict[str, bytes]:
    """Return the files that the verifying walk gives out."""
    files: dict[str, bytes] = {}
    path = ""
    async for event in unpack_car(in_chunks(car, chunk), root, limits=limits):
        match event:
            case FileStart():
                path = event.path
                files[path] = b""
            case FilePiece():
                files[path] += event.data
            case FileEnd():
                assert path == event.path
    return files
