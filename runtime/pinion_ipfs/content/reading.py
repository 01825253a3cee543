"""Read one file block by block, wherever the blocks come from: depth and repeats are bounded, nothing is kept."""

from collections.abc import AsyncIterator, Awaitable, Callable

from .cid import RAW, Cid
from .dag_pb import decode_node
from .errors import UnsupportedDag
from .unixfs import MAX_LINKS
from .unixfs_pb import decode_data
from .verify import MAX_FILE_DEPTH


async def read_file(root: Cid, block_get: Callable[[Cid], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    """Yield the bytes of a file from blocks that `block_get` has verified.

    Raise UnsupportedDag for a directory, and for a file that is laid out too deep, too wide, or has another size than it says.
    """
    wanted = [(root, 0)]  # a stack: the next one is last
    left: int | None = None
    while wanted:
        cid, depth = wanted.pop()
        block = await block_get(cid)
        if cid.codec == RAW:
            left = None if left is None else left - len(block)
            if left is not None and left < 0:
                raise UnsupportedDag(f"{root}: the file is longer than its root says")
            yield block
            continue
        node = decode_node(block)
        data = decode_data(node.data)
        if data is None:
            raise UnsupportedDag(f"{root} is a directory, not a file" if cid == root else f"{root}: a directory in a file")
        left = data.size if left is None else left
        if depth == MAX_FILE_DEPTH or len(node.links) > MAX_LINKS:
            raise UnsupportedDag(f"{root}: a file of more than {MAX_FILE_DEPTH} levels, or of nodes over {MAX_LINKS} links")
        wanted.extend((link.cid, depth + 1) for link in reversed(node.links))
    if left:
        raise UnsupportedDag(f"{root}: the file is shorter than its root says, by {left} bytes")
