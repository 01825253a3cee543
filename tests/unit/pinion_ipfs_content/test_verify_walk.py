from collections.abc import AsyncGenerator

import pytest

from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.dag_pb import Link
from pinion_ipfs.content.errors import BlockMismatch, ContentError, MalformedCar, TruncatedCar, UnsupportedDag
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.content.verify import (
    MAX_FILE_DEPTH,
    MAX_FILE_LINKS,
    DirectoryFound,
    FileEnd,
    FilePiece,
    FileStart,
    Limits,
    unpack_car,
    walk_dag,
)
from tests.support.cars import Block, car_of, directory, in_chunks, layout_bytes, leaf, make_car, node, unpack

MIB = 1024 * 1024
FULL = leaf(bytes(MIB))
HELLO = leaf(b"hello\n")
FILES = {"a": b"hello", "b/c": b"w" * (3 * MIB + 1), "b/d/e": b"", ".hidden": b"hello", "zeros": bytes(2 * MIB)}


def file_of(*parts: tuple[Block, int]) -> Block:
    """Return an interior node over (block, size said)."""
    return node(encode_file_data([size for _, size in parts]), *(Link(block[0], "", size) for block, size in parts))


@pytest.mark.parametrize("chunk", [1000, MIB, 100 * MIB])
async def test_a_tree_comes_back(chunk: int) -> None:
    root, car = make_car(FILES)
    assert await unpack(car, root, chunk=chunk) == FILES


async def test_events_come_in_order_with_cids() -> None:
    root, car = make_car({"d/f": b"x" * (MIB + 1)}, ["empty"])
    events = [event async for event in unpack_car(in_chunks(car), root)]
    assert [type(event) for event in events] == [
        DirectoryFound,
        DirectoryFound,
        FileStart,
        FilePiece,
        FilePiece,
        FileEnd,
        DirectoryFound,
    ]
    assert [event.path for event in events if isinstance(event, DirectoryFound)] == ["", "d", "empty"]
    cid = layout_bytes(b"x" * (MIB + 1)).cid
    assert events[2] == FileStart("d/f", MIB + 1, cid)
    assert events[5] == FileEnd("d/f", cid)


async def test_a_root_that_is_a_file() -> None:
    assert await unpack(car_of(HELLO[0], HELLO), HELLO[0]) == {"": b"hello\n"}
    two = file_of((FULL, MIB), (HELLO, 6))
    assert await unpack(car_of(two[0], two, FULL, HELLO), two[0]) == {"": bytes(MIB) + b"hello\n"}


async def test_the_root_must_be_the_one_asked_for() -> None:
    root, car = make_car(FILES)
    with pytest.raises(MalformedCar, match=f"instead of {HELLO[0]}"):
        await unpack(car, HELLO[0])
    assert await anext(unpack_car(in_chunks(car), None)) == DirectoryFound("", root)


async def test_every_cut_is_noticed() -> None:
    root, car = make_car({"a": b"hello", "b/c": b"world", "e": b""})
    for end in range(len(car)):
        with pytest.raises(TruncatedCar):
            await unpack(car[:end], root)


async def test_every_flipped_byte_is_noticed() -> None:
    root, car = make_car({"a": b"hello", "b/c": b"world", "e": b""})
    for position in range(len(car)):
        broken = car[:position] + bytes([car[position] ^ 1]) + car[position + 1 :]
        with pytest.raises(ContentError):
            await unpack(broken, root)


async def test_blocks_that_are_missing_extra_or_in_another_order() -> None:
    a, b = leaf(b"a"), leaf(b"b")
    root = directory(("a", a), ("b", b))
    assert await unpack(car_of(root[0], root, a, b), root[0]) == {"a": b"a", "b": b"b"}
    with pytest.raises(MalformedCar, match="a: expected block"):
        await unpack(car_of(root[0], root, b, a), root[0])
    with pytest.raises(MalformedCar, match="extra block"):
        await unpack(car_of(root[0], root, a, b, a), root[0])
    with pytest.raises(TruncatedCar, match="b: the stream ends"):
        await unpack(car_of(root[0], root, a), root[0])
    with pytest.raises(BlockMismatch):
        await unpack(car_of(root[0], root, a, (b[0], b"B")), root[0])
    with pytest.raises(TruncatedCar, match="the root: the stream ends"):
        await unpack(car_of(root[0]), root[0])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0", "x" * 256, "é" * 128])
async def test_unsafe_names_are_refused(name: str) -> None:
    root = directory((name, HELLO))
    with pytest.raises(UnsupportedDag, match="name"):
        await unpack(car_of(root[0], root, HELLO), root[0])


async def test_names_that_are_not_utf8_are_refused() -> None:
    root = directory(("ab", HELLO))
    block = root[1].replace(b"\x12\x02ab", b"\x12\x02\xff\xfe")
    cid = Cid.of_block(root[0].codec, block)
    with pytest.raises(UnsupportedDag, match="utf-8"):
        await unpack(car_of(cid, (cid, block), HELLO), cid)


async def test_duplicate_and_unsorted_names_are_refused() -> None:
    below = directory()
    for entries, says in (
        ([("a", HELLO), ("a", HELLO)], "comes twice"),
        ([("a", HELLO), ("a", below)], "comes twice"),  # file and directory
        ([("b", HELLO), ("a", HELLO)], "out of order"),
    ):
        root = directory(*entries)
        with pytest.raises(UnsupportedDag, match=says):
            await unpack(car_of(root[0], root, HELLO, HELLO), root[0])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x08\x04\x12\x0b/etc/passwd", "link: .*SYMLINK"),
        (b"\x08\x03\x12\x05hello\x18\x05", "link: .*METADATA"),
        (b"\x08\x02", "link: .*"),
        (b"\x08\x02\x12\x05hello\x18\x05\x38\xa4\x03", "link: .*mode"),
        (b"\x08\x02\x12\x05hello\x18\x04", "link: .*4 bytes whose blocks sum to 5"),
        (b"\x08\x01\x38\xed\x03", "link: .*mode"),
        (None, "link: .*"),
    ],
)
async def test_what_the_profile_has_not_is_refused_by_path(data: bytes | None, says: str) -> None:
    entry = node(data)
    root = directory(("link", entry))
    with pytest.raises(UnsupportedDag, match=says):
        await unpack(car_of(root[0], root, entry), root[0])


async def test_other_hashes_in_links_are_refused() -> None:
    root = directory(("a", HELLO))
    block = root[1].replace(b"\x01\x55\x12\x20", b"\x01\x55\x1e\x20")  # blake3
    cid = Cid.of_block(root[0].codec, block)
    with pytest.raises(UnsupportedDag, match="sha2-256"):
        await unpack(car_of(cid, (cid, block), HELLO), cid)


@pytest.mark.parametrize(
    ("file", "blocks", "says"),
    [
        (file_of((FULL, MIB), (HELLO, 7)), [FULL, HELLO], "its parent says 7"),
        (file_of((FULL, MIB - 1), (HELLO, 6)), [FULL, HELLO], "its parent says"),
        (file_of((FULL, MIB), (leaf(b""), 0)), [FULL, leaf(b"")], "a part of 0 bytes"),
        (file_of(*[(HELLO, 6)] * (MAX_FILE_LINKS + 1)), [HELLO], f"{MAX_FILE_LINKS + 1} links .* up to {MAX_FILE_LINKS}"),
        (
            file_of((file_of((node(b"\x08\x00\x12\x01x\x18\x02\x20\x01", Link(HELLO[0])), 2)), 2)),
            [
                file_of((node(b"\x08\x00\x12\x01x\x18\x02\x20\x01", Link(HELLO[0])), 2)),
                node(b"\x08\x00\x12\x01x\x18\x02\x20\x01", Link(HELLO[0])),
            ],
            "RAW with blocks",
        ),
        (file_of((file_of((FULL, MIB)), MIB + 1)), [file_of((FULL, MIB))], "its parent says"),
        (file_of((directory(), 1)), [directory()], "a directory inside a file"),
        (node(encode_file_data([MIB, 6]), Link(FULL[0], "", MIB)), [FULL], "1 links and 2 sizes"),
        (node(encode_file_data([MIB, 6]), Link(FULL[0], "x", MIB), Link(HELLO[0], "y", 6)), [FULL], "named link"),
    ],
)
async def test_files_that_are_not_what_their_nodes_say_are_refused(file: Block, blocks: list[Block], says: str) -> None:
    root = directory(("f", file))
    with pytest.raises(UnsupportedDag, match=says):
        await unpack(car_of(root[0], root, file, *blocks), root[0])


async def test_sizes_past_the_announced_ones_are_refused_before_they_are_given_out() -> None:
    files = {"a": b"x" * 10, "b": b"y" * (2 * MIB)}
    root, car = make_car(files)
    size = 10 + 2 * MIB
    assert await unpack(car, root, Limits(max_bytes=size)) == files
    events = unpack_car(in_chunks(car), root, limits=Limits(max_bytes=size - 1))
    cid = layout_bytes(b"x" * 10).cid
    expected = [DirectoryFound("", root), FileStart("a", 10, cid), FilePiece(b"x" * 10), FileEnd("a", cid)]
    assert [await anext(events) for _ in expected] == expected
    with pytest.raises(UnsupportedDag, match=f"where {size - 1} were announced"):
        await anext(events)


async def test_too_many_entries_are_refused() -> None:
    root, car = make_car({f"d{number}/f": b"x" for number in range(5)})
    assert len(await unpack(car, root, Limits(max_entries=11))) == 5
    with pytest.raises(UnsupportedDag, match="more than 10"):
        await unpack(car, root, Limits(max_entries=10))


async def test_too_deep_a_tree_is_refused() -> None:
    root, car = make_car({"/".join(["d"] * 64 + ["f"]): b"x"})
    assert len(await unpack(car, root)) == 1
    root, car = make_car({"/".join(["d"] * 65 + ["f"]): b"x"})
    with pytest.raises(UnsupportedDag, match="below each other"):
        await unpack(car, root)


async def test_too_deep_a_file_is_refused() -> None:
    nodes = [file_of((HELLO, 6))]
    for _ in range(MAX_FILE_DEPTH):
        nodes.append(file_of((nodes[-1], 6)))
    nodes.reverse()
    with pytest.raises(UnsupportedDag, match="levels"):
        await unpack(car_of(nodes[0][0], *nodes, HELLO), nodes[0][0])
    assert await unpack(car_of(nodes[1][0], *nodes[1:], HELLO), nodes[1][0]) == {"": b"hello\n"}


def dag_pb_leaf(data: bytes, kind: int = 2) -> Block:
    """Return a leaf as `ipfs add --raw-leaves=false` makes it, for less than 128 bytes."""
    return node(bytes((8, kind, 0x12, len(data))) + data + bytes((0x18, len(data))))


ONE, TWO = dag_pb_leaf(b"one "), dag_pb_leaf(b"two ", 0)
WITH_DATA = node(b"\x08\x02\x12\x03own\x18\x09\x20\x06", Link(HELLO[0]))


@pytest.mark.parametrize(
    ("file", "blocks", "data"),
    [
        (file_of((HELLO, 6), (HELLO, 6)), [HELLO, HELLO], b"hello\nhello\n"),
        (file_of((HELLO, 6)), [HELLO], b"hello\n"),
        (
            file_of((file_of((FULL, MIB), (HELLO, 6)), MIB + 6)),
            [file_of((FULL, MIB), (HELLO, 6)), FULL, HELLO],
            FULL[1] + HELLO[1],
        ),
        (ONE, [], b"one "),
        (TWO, [], b"two "),
        (node(b"\x08\x02\x18\x00"), [], b""),
        (node(b"\x08\x02\x12\x00\x18\x00"), [], b""),
        (file_of((ONE, 4), (TWO, 4), (HELLO, 6)), [ONE, TWO, HELLO], b"one two hello\n"),
        (WITH_DATA, [HELLO], b"ownhello\n"),
        (file_of((ONE, 4), (WITH_DATA, 9)), [ONE, WITH_DATA, HELLO], b"one ownhello\n"),
    ],
)
async def test_files_of_any_layout_come_with_the_cid_that_the_tree_has(file: Block, blocks: list[Block], data: bytes) -> None:
    root = directory(("f", file))
    events = [event async for event in unpack_car(in_chunks(car_of(root[0], root, file, *blocks)), root[0])]
    assert events[1] == FileStart("f", len(data), file[0])
    assert events[-1] == FileEnd("f", file[0])
    pieces = [event.data for event in events if isinstance(event, FilePiece)]
    assert b"".join(pieces) == data
    assert all(pieces)
    known = dict([root, file, *blocks])

    async def block_get(cid: Cid) -> bytes:
        return known[cid]

    assert [event async for event in walk_dag(root[0], block_get)] == events


async def test_stopping_early_closes_the_chunks() -> None:
    root, car = make_car(FILES)
    closed = []

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in in_chunks(car, 1000):
                yield chunk
        finally:
            closed.append(True)

    events = unpack_car(chunks(), root)
    assert await anext(events) == DirectoryFound("", root)
    await events.aclose()
    assert closed == [True]
    with pytest.raises(MalformedCar):
        async for _ in unpack_car(chunks(), HELLO[0]):
            pass
    assert closed == [True, True]
