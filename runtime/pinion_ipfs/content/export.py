"""A CAR of a DAG from single blocks, wherever they come from: depth first, repeats included."""

from collections.abc import AsyncIterator

from .car import section_bytes
from .car_blocks import BlockGet
from .car_header import encode_header
from .cid import DAG_PB, Cid
from .dag_pb import decode_node


async def export_dag(root: Cid, block_get: BlockGet) -> AsyncIterator[bytes]:
    """Yield the CAR (`car-order=dfs&car-dups=y`) of what lies below `root`, from blocks that `block_get` has verified."""
    block = await block_get(root)  # before the first byte: what is not there is an error and no short stream
    yield encode_header(root)
    wanted = [root]
    while wanted:
        cid = wanted.pop()
        block = block if cid is root else await block_get(cid)
        if cid.codec == DAG_PB:
            wanted.extend(link.cid for link in reversed(decode_node(block).links))
        yield section_bytes(cid, block)
