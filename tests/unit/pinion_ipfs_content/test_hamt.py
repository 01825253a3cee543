"""Sharded directories: built as a trie over the names' hashes, and refused by name when they are not exactly that."""

from collections.abc import Callable

import pytest

from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.dag_pb import Link
from pinion_ipfs.content.directories import find_link, list_links
from pinion_ipfs.content.errors import UnsupportedDag
from pinion_ipfs.content.hamt import MAX_LEVELS, build_shards, name_hash
from pinion_ipfs.content.murmur3 import murmur3_x64_64
from pinion_ipfs.content.unixfs import MAX_DIRECTORY_BLOCK
from pinion_ipfs.content.unixfs_pb import encode_shard_data
from pinion_ipfs.content.verify import Limits
from tests.support.cars import Block, car_of, directory, leaf, make_car, node, unpack

HELLO = leaf(b"hello\n")
MANY = {f"weights/{number:0100}": b"%d" % (number % 3) for number in range(2_000)}


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "0000000000000000"),
        (b"hello", "cbd8a7b341bd9b02"),
        (b"hello, world", "342fac623a5ebc8e"),
        (b"The quick brown fox jumps over the lazy dog.", "cd99481f9ee902c9"),
    ],
)
def test_the_hash_is_murmur3(data: bytes, digest: str) -> None:
    assert murmur3_x64_64(data).hex() == digest


async def test_a_large_directory_comes_back() -> None:
    root, car = make_car(MANY, ["weights/empty"])
    assert await unpack(car, root) == MANY


async def test_entries_are_counted_across_shards() -> None:
    root, car = make_car(MANY)
    count = len(MANY) + 2
    assert len(await unpack(car, root, Limits(max_entries=count))) == len(MANY)
    with pytest.raises(UnsupportedDag, match=f"more than {count - 1} files and directories"):
        await unpack(car, root, Limits(max_entries=count - 1))


def shard(*entries: tuple[int, str, Block], slots: int | None = None) -> Block:
    """Return a shard of (slot, name, block), with the bit field of its slots or another."""
    field = sum(1 << slot for slot, _, _ in entries) if slots is None else slots
    return node(encode_shard_data(field), *(Link(block[0], f"{slot:02X}{name}", 1) for slot, name, block in entries))


def chain(levels: int) -> list[Block]:
    """Return as many shards, one below the other in the slots of the name "a", which the last one holds; the root first."""
    hashed = name_hash("a") + bytes(8)
    blocks = [shard((hashed[levels - 1], "a", HELLO))]
    for level in range(levels - 2, -1, -1):
        blocks.append(shard((hashed[level], "", blocks[-1])))
    return blocks[::-1]


A, B = name_hash("a")[0], name_hash("b")[0]
FIRST, SECOND = sorted([(A, "a"), (B, "b")])


async def test_shards_as_deep_as_a_hash_are_read() -> None:
    blocks = chain(MAX_LEVELS)
    assert await unpack(car_of(blocks[0][0], *blocks, HELLO), blocks[0][0]) == {"a": HELLO[1]}


MALFORMED: dict[str, tuple[Callable[[], list[Block]], str]] = {
    "too deep": (lambda: chain(MAX_LEVELS + 1), f"more than {MAX_LEVELS} levels"),
    "no entries": (lambda: [shard()], "without entries"),
    "no entries below": (lambda: [shard((A, "", shard())), shard()], "without entries"),
    "another slot": (lambda: [shard((A ^ 1, "a", HELLO))], "the name 'a' in a slot of a HAMT shard that is another's"),
    "another slot below": (
        lambda: [shard((A ^ 1, "", chain(2)[1])), chain(2)[1]],
        "the name 'a' in a slot of a HAMT shard that is another's",
    ),
    "more bits than links": (lambda: [shard((A, "a", HELLO), slots=1 << A | 1 << B)], "1 links, whose bit field has 2"),
    "fewer bits than links": (
        lambda: [shard((*FIRST, HELLO), (*SECOND, HELLO), slots=1 << A)],
        "2 links, whose bit field has 1",
    ),
    "other bits than links": (lambda: [shard((A, "a", HELLO), slots=1 << (A ^ 1))], "where its bit field has"),
    "out of order": (lambda: [shard((*SECOND, HELLO), (*FIRST, HELLO))], "where its bit field has"),
    "a prefix in lower case": (
        lambda: [node(encode_shard_data(1 << 0xAB), Link(HELLO[0], "abx", 1))],
        "where its bit field has AB",
    ),
    "a name without a slot": (lambda: [node(encode_shard_data(1), Link(HELLO[0], "", 1))], "an entry ''"),
    "a leaf for a shard": (lambda: [shard((A, "", HELLO))], "that is no node"),
    "a directory for a shard": (lambda: [shard((A, "", directory())), directory()], "a HAMT shard that is something else"),
    "a file for a shard": (
        lambda: [shard((A, "", node(b"\x08\x02\x18\x00"))), node(b"\x08\x02\x18\x00")],
        "a HAMT shard that is something else",
    ),
    "another fanout": (
        lambda: [node(b"\x08\x05\x12\x01\x01\x28\x22\x30\x10", Link(HELLO[0], "0a", 1))],
        "fanout 16: only 256",
    ),
    "another hash": (
        lambda: [node(b"\x08\x05\x12\x01\x01\x28\x23\x30\x80\x02", Link(HELLO[0], "00a", 1))],
        "hash 0x23: only murmur3",
    ),
    "an unsafe name": (lambda: [shard((name_hash("..")[0], "..", HELLO))], "means another directory"),
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_malformed_shard_is_refused_by_name(what: str) -> None:
    make, says = MALFORMED[what]
    blocks = make()
    root = directory(("d", blocks[0]))
    with pytest.raises(UnsupportedDag, match=f"^'?d.*{says}"):
        await unpack(car_of(root[0], root, *blocks, HELLO), root[0])


async def test_a_few_shards_that_link_to_each_other_many_times_end_at_once() -> None:
    """Each of eight blocks links 256 times to the next: 256^7 ways down, none of which has an entry in its slot."""
    blocks = [shard((A, "a", HELLO))]
    for _ in range(MAX_LEVELS - 1):
        blocks.append(shard(*((slot, "", blocks[-1]) for slot in range(256))))
    known, asked = dict([*blocks, HELLO]), 0

    async def block_get(cid: Cid) -> bytes:
        nonlocal asked
        asked += 1
        return known[cid]

    with pytest.raises(UnsupportedDag, match="another's"):
        await list_links(blocks[-1][0], block_get)
    assert asked <= MAX_LEVELS


async def test_one_entry_is_found_by_its_way_and_all_in_the_order_of_names() -> None:
    links = [Link(HELLO[0], f"{number:0200}", 6) for number in range(MAX_DIRECTORY_BLOCK // 200)]
    nodes: dict[Cid, bytes] = {}
    root, _ = build_shards(links, nodes)
    asked: list[Cid] = []

    async def block_get(cid: Cid) -> bytes:
        asked.append(cid)
        return nodes[cid]

    assert await list_links(root, block_get) == links
    asked.clear()
    assert await find_link(root, links[700].name or "", block_get) == links[700]
    assert await find_link(root, "nothing", block_get) is None
    assert len(asked) <= 8
    with pytest.raises(UnsupportedDag, match=f"more than {len(links) - 1} entries"):
        await list_links(root, block_get, max_entries=len(links) - 1)
