"""Leaves of a file many at a time, for a place where each call costs more than the bytes: what follows is brought along."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..content.cid import DAG_PB, RAW, Cid
from ..content.dag_pb import decode_node

MOST_BYTES = 8 * 1024 * 1024  # of leaves that are brought at once, and so kept in memory
MOST_LEAVES = 256  # on one command line

BlockGet = Callable[[Cid], Awaitable[bytes]]
CatLeaves = Callable[[Sequence[Cid], int], Awaitable[bytes]]


class LeafBatches:
    """Gives verified blocks to a walk through one file, in its order.

    `cat` gives the bytes of several leaves in a row, of so many bytes as their node says; where they are other bytes, each
    block is asked for by itself, and tells what is wrong.
    """

    def __init__(self, block_get: BlockGet, cat: CatLeaves) -> None:
        self._block_get, self._cat = block_get, cat
        self._coming: deque[tuple[Cid, int]] = deque()
        self._ready: deque[tuple[Cid, bytes]] = deque()

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        if not self._ready and len(self._coming) > 1 and self._coming[0][0] == cid:
            await self._bring()
        if self._ready and self._ready[0][0] == cid:
            return self._ready.popleft()[1]
        if self._coming and self._coming[0][0] == cid:
            self._coming.popleft()
        block = await self._block_get(cid)
        if cid.codec == DAG_PB:
            links = decode_node(block).links
            if links and all(link.cid.codec == RAW and link.tsize for link in links):
                self._coming = deque((link.cid, link.tsize or 0) for link in links if link.cid.inline is None)
                self._ready.clear()
        return block

    async def _bring(self) -> None:
        batch: list[tuple[Cid, int]] = []
        total = 0
        while self._coming and len(batch) < MOST_LEAVES and total + self._coming[0][1] <= MOST_BYTES:
            total += self._coming[0][1]
            batch.append(self._coming.popleft())
        if not batch:  # a node that claims too much: one by one
            self._coming.clear()
            return
        data = await self._cat([cid for cid, _ in batch], total)
        blocks = await asyncio.to_thread(_split, batch, data)
        if not blocks:
            self._coming.clear()
        self._ready = deque(blocks)


def _split(batch: Sequence[tuple[Cid, int]], data: bytes) -> list[tuple[Cid, bytes]]:
    """Return the verified blocks that lie in a row in `data`, none when one of them is wrong."""
    blocks: list[tuple[Cid, bytes]] = []
    start = 0
    for cid, size in batch:
        block = data[start : start + size]
        start += size
        if Cid.of_block(RAW, block) != cid:
            return []
        blocks.append((cid, block))
    return blocks
