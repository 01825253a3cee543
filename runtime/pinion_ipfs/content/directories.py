"""One directory block by block, basic or sharded: its entries, and the one of a name."""

from .car_blocks import BlockGet, block_of
from .cid import DAG_PB, Cid
from .dag_pb import Link, Node, decode_node
from .errors import UnsupportedDag
from .hamt import ShardEntry, name_hash, read_shard
from .names import MAX_ENTRIES
from .unixfs_pb import FileData, ShardData, decode_data


async def list_links(cid: Cid, block_get: BlockGet, *, max_entries: int = MAX_ENTRIES) -> list[Link]:
    """Return the entries of a directory from verified blocks, sorted by name as the links of a basic one are.

    Raise UnsupportedDag for a file, for a shard that is malformed, and for more entries than are read.
    """
    node, shard = await _read(cid, block_get)
    if shard is None:
        return list(node.links)
    found: list[Link] = []
    below = read_shard(node, shard, b"")
    while below:
        entry = below.pop()
        if entry.link.name:
            found.append(entry.link)
            if len(found) > max_entries:
                raise UnsupportedDag(f"{cid}: more than {max_entries} entries")
        else:
            below.extend(await _read_below(entry, block_get))
    return sorted(found, key=lambda link: (link.name or "").encode())


async def find_link(cid: Cid, name: str, block_get: BlockGet) -> Link | None:
    """Return the entry of a name, None without one; of a sharded directory only the blocks on the way are read."""
    node, shard = await _read(cid, block_get)
    if shard is None:
        return next((link for link in node.links if link.name == name), None)
    slots, entries = name_hash(name), read_shard(node, shard, b"")
    while True:
        entry = next((entry for entry in entries if slots.startswith(entry.slots)), None)
        if entry is None or entry.link.name:
            return entry.link if entry is not None and entry.link.name == name else None
        entries = await _read_below(entry, block_get)


async def _read(cid: Cid, block_get: BlockGet) -> tuple[Node, ShardData | None]:
    if cid.codec != DAG_PB:
        raise UnsupportedDag(f"{cid} is a file, not a directory")
    node = decode_node(await block_of(cid, block_get))
    data = decode_data(node.data)
    if isinstance(data, FileData):
        raise UnsupportedDag(f"{cid} is a file, not a directory")
    return node, data if isinstance(data, ShardData) else None


async def _read_below(entry: ShardEntry, block_get: BlockGet) -> list[ShardEntry]:
    node, shard = await _read(entry.link.cid, block_get)
    if shard is None:
        raise UnsupportedDag(f"{entry.link.cid} is no HAMT shard, where one links to it as that")
    return read_shard(node, shard, entry.slots)
