"""A file's bytes on disk against the DAG that whoever made it laid out: leaves of any size, raw or in dag-pb."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..content.cid import RAW, Cid
from ..content.dag_pb import decode_node, encode_node
from ..content.errors import UnsupportedDag
from ..content.unixfs_pb import DataType, FileData, decode_data
from ..content.varint import encode_varint
from ..content.verify import check_file_node

MAX_LEAF = 2 * 1024 * 1024  # bytes: the most that IPFS nodes exchange as one block
MAX_LEAVES = 2_000_000  # of one file: 488 GiB in leaves of 256 KiB
FREE_LEAVES = 100_000  # of a file of any size; where there are more, they hold MIN_AVERAGE_LEAF on average
MIN_AVERAGE_LEAF = 1024  # bytes
MAX_FILE_NODES_BYTES = 128 * 1024 * 1024  # of the different nodes above one file's leaves: some 50 bytes for each leaf
_TYPE, _DATA, _FILE_SIZE = 0x08, 0x12, 0x18
_LEAF_TYPES = (DataType.FILE, DataType.RAW)  # of dag-pb leaves: today's and that of old programs


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of a file: its address, and how many of the file's bytes it holds.

    Bytes that an interior node holds itself are a leaf too, by the address that they would have alone: `of_node`.
    """

    cid: Cid
    size: int
    of_node: bool = False

    def matches(self, data: bytes) -> bool:
        """Tell whether these are its bytes."""
        return any(self.cid.of_other(block) == self.cid for block in self._blocks(data))

    def block(self, data: bytes) -> bytes:
        """Return the block that holds its bytes; raise UnsupportedDag when these are not they."""
        for block in self._blocks(data):
            if self.cid.of_other(block) == self.cid:
                return block
        raise UnsupportedDag(f"{self.cid}: other bytes")

    def _blocks(self, data: bytes) -> list[bytes]:
        return [data] if self.cid.codec == RAW else _dag_pb_leaves(data)


def check_leaves(count: int, size: int) -> None:
    """Raise UnsupportedDag when a file of `size` bytes has more leaves than are read."""
    most = max(FREE_LEAVES, min(size // MIN_AVERAGE_LEAF, MAX_LEAVES))
    if count > most:
        raise UnsupportedDag(f"a file of {size} bytes in more than {most} leaves")


def check_nodes(total: int) -> None:
    """Raise UnsupportedDag when the nodes above a file's leaves have more bytes than are held."""
    if total > MAX_FILE_NODES_BYTES:
        raise UnsupportedDag(f"nodes of more than {MAX_FILE_NODES_BYTES} bytes above the leaves of one file")


def leaves_of(cid: Cid, size: int, node: Callable[[Cid], bytes | None]) -> tuple[Leaf, ...]:
    """Return a file's leaves in order; `node` gives its interior nodes, None for what is a leaf.

    Raise UnsupportedDag when the nodes don't add up to `size` bytes, a leaf is larger than a block may be, or there are more
    leaves, levels or links than are read; and for what the verifying walk refuses in a file. It takes its time: blocking.
    """
    found: list[Leaf] = []
    wanted = [(cid, size, 1)]  # a stack: the next one is last
    left = size
    while wanted:
        here, count, depth = wanted.pop()
        check_leaves(len(found), size)
        block = None if here.codec == RAW else here.inline or node(here)
        if block is None:
            if count > min(MAX_LEAF, left):
                raise UnsupportedDag(f"{cid}: a leaf of {count} bytes, where {left} are left and {MAX_LEAF} are allowed")
            left -= count
            found.append(Leaf(here, count))
            continue
        decoded = decode_node(block)
        links, data = decoded.links, decode_data(decoded.data)
        if not isinstance(data, FileData):
            raise UnsupportedDag(f"{cid}: {here} is no node of a file")
        try:
            check_file_node(decoded, data, size=count, depth=depth)
        except UnsupportedDag as error:
            raise UnsupportedDag(f"{cid}: {error}") from error
        if data.data:  # before what is below it
            left -= len(data.data)
            found.append(Leaf(Cid.of_block(RAW, data.data), len(data.data), of_node=True))
        parts = zip(reversed(links), reversed(data.block_sizes), strict=True)
        wanted.extend((link.cid, below, depth + 1) for link, below in parts)
    check_leaves(len(found), size)
    if left:
        raise UnsupportedDag(f"{cid}: {left} of {size} bytes are in no leaf")
    return tuple(found)


def first_wrong(path: Path, leaves: Sequence[Leaf]) -> int | None:
    """Read a file and return the index of its first wrong leaf, None when all are right; raise OSError. Blocking.

    A file that is longer is wrong in its last leaf.
    """
    with path.open("rb", buffering=0) as stream:
        for index, leaf in enumerate(leaves):
            if not leaf.matches(_exactly(stream.read, leaf.size)):
                return index
        return len(leaves) - 1 if stream.read(1) else None


def _exactly(read: Callable[[int], bytes | None], size: int) -> bytes:
    data = read(size) or b""
    while len(data) < size and (more := read(size - len(data))):
        data += more
    return data


def _dag_pb_leaves(data: bytes) -> list[bytes]:
    """Return the blocks that programs make of a leaf's bytes in dag-pb."""
    size = bytes((_FILE_SIZE,)) + encode_varint(len(data))
    body = bytes((_DATA,)) + encode_varint(len(data)) + data
    bodies = [body, b""] if not data else [body]  # of no bytes there is no field, with most programs
    return [encode_node((), bytes((_TYPE, kind)) + one + size) for kind in _LEAF_TYPES for one in bodies]
