"""A CAR of a DAG from single blocks, wherever they come from: depth first, repeats included."""

from collections.abc import AsyncIterator

from .car import section_bytes
from .car_blocks import BlockGet, block_of
from .car_header import encode_header
from .cid import DAG_PB, Cid
from .dag_pb import decode_node


async def export_dag(root: Cid, block_get: BlockGet) -> AsyncIterator[bytes]:
    """Yield the CAR (`car-order=dfs&car-dups=y`) of what lies below `root`, from blocks that `block_get` has verified.

    Blocks that their CIDs hold are left out, as other writers do.
    """
    block = await block_of(root, block_get)  # before the first byte: what is not there is an error and no short stream
    yield encode_header(root)
    wanted = [root]
    while wanted:
        cid = wanted.pop()
        block = block if cid is root else await block_of(cid, block_get)
        if cid.codec == DAG_PB:
            wanted.extend(link.cid for link in reversed(decode_node(block).links))
        if cid.inline is None:
            yield section_bytes(cid, block)
