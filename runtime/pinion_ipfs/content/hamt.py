"""Sharded directories: a hash array mapped trie of 256 slots in a node, by the murmur3 hashes of names (UnixFS spec, HAMT)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .cid import DAG_PB, Cid
from .dag_pb import Link, Node, encode_node
from .errors import UnsupportedDag
from .murmur3 import murmur3_x64_64
from .unixfs_pb import HAMT_FANOUT, ShardData, encode_shard_data

MAX_LEVELS = 8  # a node takes one byte of the eight that a hash has
SLOT_DIGITS = 2  # hexadecimal, before each name


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """What a shard links to: an entry of the directory by its name or, without one, the shard below `slots`."""

    link: Link  # its name without the slot
    slots: bytes  # from the root of the directory to here


def name_hash(name: str) -> bytes:
    """Return the eight bytes that say in which slots a name goes, from the root down."""
    return murmur3_x64_64(name.encode())


def read_shard(node: Node, data: ShardData, slots: bytes) -> list[ShardEntry]:
    """Return the entries of a shard that lies below `slots`; raise UnsupportedDag, by name, for one that is malformed."""
    if len(slots) >= MAX_LEVELS:
        raise UnsupportedDag(f"a HAMT shard of more than {MAX_LEVELS} levels")
    if not node.links:
        raise UnsupportedDag("a HAMT shard without entries")  # of which a few could make a tree without end
    if len(node.links) != data.slots.bit_count():
        raise UnsupportedDag(f"a HAMT shard of {len(node.links)} links, whose bit field has {data.slots.bit_count()}")
    entries = []
    left = data.slots
    for link in node.links:
        slot = (left & -left).bit_length() - 1
        left &= left - 1
        text = link.name or ""
        if text[:SLOT_DIGITS] != f"{slot:02X}":
            raise UnsupportedDag(f"an entry {text[:80]!r} in a HAMT shard, where its bit field has {slot:02X}")
        name, here = text[SLOT_DIGITS:], slots + bytes((slot,))
        if name and name_hash(name)[: len(here)] != here:
            raise UnsupportedDag(f"the name {name[:80]!r} in a slot of a HAMT shard that is another's: {here.hex()}")
        if not name and link.cid.codec != DAG_PB:
            raise UnsupportedDag(f"a HAMT shard that is no node, in slot {slot:02X}")
        entries.append(ShardEntry(replace(link, name=name), here))
    return entries


def build_shards(entries: Iterable[Link], nodes: dict[Cid, bytes]) -> tuple[Cid, int]:
    """Add the nodes of a sharded directory to `nodes`; return the root's CID, and the bytes of all blocks with what is below.

    Raise UnsupportedDag for names whose hashes are the same.
    """
    return _build([(name_hash(link.name or ""), link) for link in entries], 0, nodes)


def _build(entries: list[tuple[bytes, Link]], level: int, nodes: dict[Cid, bytes]) -> tuple[Cid, int]:
    if level >= MAX_LEVELS:
        raise UnsupportedDag(
            f"{entries[0][1].name!r} and {entries[1][1].name!r} have the same murmur3 hash: no HAMT holds both"
        )
    by_slot: list[list[tuple[bytes, Link]]] = [[] for _ in range(HAMT_FANOUT)]
    for entry in entries:
        by_slot[entry[0][level]].append(entry)
    links, slots, total = [], 0, 0
    for slot, below in enumerate(by_slot):
        if not below:
            continue
        slots |= 1 << slot
        if len(below) == 1:
            link = replace(below[0][1], name=f"{slot:02X}{below[0][1].name}")
        else:
            cid, size = _build(below, level + 1, nodes)
            link = Link(cid, f"{slot:02X}", size)
        links.append(link)
        total += link.tsize or 0
    block = encode_node(links, encode_shard_data(slots))
    cid = Cid.of_block(DAG_PB, block)
    nodes[cid] = block
    return cid, len(block) + total
