"""Read one file block by block, wherever the blocks come from: depth and width are bounded, nothing is kept."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from .car_blocks import BlockGet
from .cid import Cid
from .errors import UnsupportedDag
from .verify import DirectoryFound, FilePiece, walk_dag


async def read_file(root: Cid, block_get: BlockGet) -> AsyncIterator[bytes]:
    """Yield the bytes of a file from blocks that `block_get` has verified.

    Raise UnsupportedDag for a directory, and for a file that is laid out too deep, too wide, or has another size than it says.
    """
    async with aclosing(walk_dag(root, block_get)) as events:
        async for event in events:
            match event:
                case DirectoryFound():
                    raise UnsupportedDag(f"{root} is a directory, not a file")
                case FilePiece(data):
                    yield data
