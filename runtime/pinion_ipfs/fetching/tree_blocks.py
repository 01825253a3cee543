"""The blocks of a tree for backends that lack it: from our own files where they are here, else from whoever has them."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ..backends.base import Backend
from ..content.cid import DAG_PB, Cid
from ..content.dag_pb import decode_node
from ..content.errors import UnsupportedDag
from ..errors import UnreadableSource
from ..store.laid_out import Leaf
from .tree_request import TreeSnapshot

_AT_ONCE = 8  # blocks on their way at a time, of 2 MiB at most


async def forward(snapshot: TreeSnapshot, elsewhere: Callable[[Cid], Awaitable[bytes]], backend: Backend) -> int:
    """Put every block below a snapshot's CID into a backend, as it was laid out by whoever made it; return their bytes.

    Files that were not chosen are asked of `elsewhere`. Raise UnreadableSource for a file of ours that has changed, and what
    `elsewhere` and the backend raise.
    """
    ours = {
        leaf.cid: (place, offset, leaf)
        for path, place in snapshot.files.items()
        for leaf, offset in _placed(snapshot.leaves[path])
        if not leaf.of_node
    }
    nodes = dict(snapshot.tree.nodes)
    sent = 0

    async def one(cid: Cid) -> list[Cid]:
        nonlocal sent
        if cid.inline is not None:
            return []  # who has the node that names it has it
        if cid in ours:
            block = await asyncio.to_thread(partial(_read, *ours[cid]))
        else:
            block = nodes[cid] if cid in nodes else await elsewhere(cid)
        await backend.block_put(block, codec=cid.codec)
        sent += len(block)
        return [link.cid for link in decode_node(block).links] if cid.codec == DAG_PB else []

    seen, wanted = {snapshot.cid}, [snapshot.cid]
    while wanted:
        now, wanted = wanted[-_AT_ONCE:], wanted[:-_AT_ONCE]
        for below in await asyncio.gather(*map(one, now)):
            fresh = [cid for cid in dict.fromkeys(below) if cid not in seen]
            seen.update(fresh)
            wanted.extend(fresh)
    return sent


def _placed(leaves: tuple[Leaf, ...]) -> list[tuple[Leaf, int]]:
    placed, offset = [], 0
    for leaf in leaves:
        placed.append((leaf, offset))
        offset += leaf.size
    return placed


def _read(place: Path, offset: int, leaf: Leaf) -> bytes:
    with place.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(leaf.size)
    try:
        return leaf.block(data)
    except UnsupportedDag as error:
        raise UnreadableSource(f"{place}: changed after it was verified: {error}") from error
