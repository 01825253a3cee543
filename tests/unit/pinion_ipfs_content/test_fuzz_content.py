"""Bad input nobody thought of: whatever bytes come, the answer is right or one of our errors, never another exception."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import libipld
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pinion_ipfs.content.car_header import decode_header, encode_header
from pinion_ipfs.content.car_reader import read_car
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, decode_node, encode_node
from pinion_ipfs.content.directories import list_links
from pinion_ipfs.content.errors import ContentError, MalformedCar, TruncatedCar, UnsupportedDag
from pinion_ipfs.content.hamt import build_shards, name_hash, read_shard
from pinion_ipfs.content.reading import read_file
from pinion_ipfs.content.unixfs_pb import (
    DIRECTORY_DATA,
    FileData,
    ShardData,
    decode_data,
    encode_file_data,
    encode_shard_data,
)
from pinion_ipfs.content.varint import decode_varint, encode_varint
from pinion_ipfs.content.verify import FilePiece, FileStart, unpack_car, walk_dag
from tests.support.cars import Block, car_of, directory, in_chunks, leaf, make_car, node, section, unpack

digests = st.binary(min_size=32, max_size=32)
cids = st.builds(Cid.from_digest, st.sampled_from([RAW, DAG_PB]), digests)
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


def without_conflicts(files: dict[str, bytes]) -> bool:
    folders = {path[:place] for path in files for place, char in enumerate(path) if char == "/"}
    return not folders & files.keys()


trees = st.dictionaries(paths, st.binary(max_size=40), min_size=1, max_size=5).filter(without_conflicts)


def spoilt(good: bytes, data: st.DataObject) -> bytes:
    """Return bytes that differ a little from good ones."""
    position = data.draw(st.integers(0, max(0, len(good) - 1)))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "delete", "double"]))
    match kind:
        case "flip":
            return good[:position] + bytes([good[position] ^ data.draw(st.integers(1, 255))]) + good[position + 1 :]
        case "cut":
            return good[:position]
        case "insert":
            return good[:position] + data.draw(st.binary(min_size=1, max_size=4)) + good[position:]
        case "delete":
            return good[:position] + good[position + 1 :]
    return good[:position] + good[position:] * 2


@given(st.integers(0, 2**63 - 1))
def test_varints_come_back(value: int) -> None:
    data = encode_varint(value)
    assert decode_varint(data + b"\xff") == (value, len(data))


@given(st.binary(max_size=12))
def test_varints_are_canonical_or_refused(data: bytes) -> None:
    try:
        value, end = decode_varint(data)
    except (ValueError, EOFError):
        return
    assert encode_varint(value) == data[:end]


@given(st.integers(max_value=-1) | st.integers(2**63))
def test_other_integers_are_no_varints(value: int) -> None:
    with pytest.raises(ValueError, match="63 bit"):
        encode_varint(value)


@given(cids)
def test_cids_come_back_in_text_and_bytes(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid == Cid.from_bytes(bytes(cid))
    assert libipld.decode_cid(str(cid))["hash"]["digest"] == cid.digest


@given(st.text(max_size=130) | st.from_regex(r"b[a-z2-7]{50,120}", fullmatch=True) | st.from_regex(r"Qm[1-9A-Za-z]{44}"))
@example("Qm" + "1" * 44)
@example("b" + "a" * 58)
def test_text_is_a_cid_or_refused(text: str) -> None:
    try:
        cid = Cid.parse(text)
    except ContentError:
        return
    assert libipld.decode_cid(text)["hash"]["digest"] == cid.digest
    assert text in (str(cid), libipld.encode_cid(bytes(cid))) or cid.version == 0


@given(cids, st.data())
def test_spoilt_texts_of_cids_are_other_cids_or_refused(cid: Cid, data: st.DataObject) -> None:
    text = str(cid)
    other = spoilt(text.encode(), data).decode("latin-1")
    assume(other != text)
    with contextlib.suppress(ContentError):
        assert Cid.parse(other) != cid


@given(st.binary(max_size=60))
def test_bytes_are_a_cid_or_refused(data: bytes) -> None:
    try:
        cid, end = Cid.read(data)
    except ContentError:
        return
    assert bytes(cid) == data[:end]


links = st.builds(
    Link,
    cids,
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.none() | st.integers(0, 2**63 - 1),
)


@given(st.lists(links, max_size=6), st.none() | st.binary(max_size=40))
def test_nodes_come_back(made: list[Link], payload: bytes | None) -> None:
    got = decode_node(encode_node(made, payload))
    assert (list(got.links), got.data) == (made, payload)


@given(st.binary(max_size=120))
def test_blocks_are_canonical_nodes_or_refused(block: bytes) -> None:
    try:
        got = decode_node(block)
    except UnsupportedDag:
        return
    assert encode_node(got.links, got.data) == block


@given(st.lists(links, min_size=1, max_size=4), st.binary(max_size=20), st.data())
def test_spoilt_nodes_are_canonical_or_refused(made: list[Link], payload: bytes, data: st.DataObject) -> None:
    block = spoilt(encode_node(made, payload), data)
    try:
        got = decode_node(block)
    except UnsupportedDag:
        return
    assert encode_node(got.links, got.data) == block


@given(st.binary(max_size=30) | st.lists(st.integers(0, 2**40), max_size=4).map(encode_file_data))
def test_unixfs_messages_are_ours_or_refused(message: bytes) -> None:
    try:
        got = decode_data(message)
    except UnsupportedDag:
        return
    match got:
        case FileData(_, sizes, b""):
            assert message in (
                encode_file_data(sizes),
                encode_file_data(sizes).replace(b"\x08\x02", b"\x08\x02\x12\x00", 1),
                b"\x08\x00\x18\x00",
                b"\x08\x00\x12\x00\x18\x00",
            )
        case ShardData(slots):
            assert encode_shard_data(slots) == message or message[4] == 0


@given(trees, st.integers(1, 200))
def test_trees_come_back_whatever_the_chunks(files: dict[str, bytes], chunk: int) -> None:
    root, car = make_car(files)
    assert asyncio.run(unpack(car, root, chunk=chunk)) == files


@given(trees, st.data())
def test_a_spoilt_car_is_never_taken_for_the_right_one(files: dict[str, bytes], data: st.DataObject) -> None:
    root, car = make_car(files)
    other = spoilt(car, data)
    assume(other != car)
    with pytest.raises(ContentError):
        asyncio.run(unpack(other, root, chunk=data.draw(st.sampled_from([1, 7, 65_536]))))


@given(trees, st.data())
def test_a_car_cut_anywhere_is_truncated(files: dict[str, bytes], data: st.DataObject) -> None:
    root, car = make_car(files)
    ends = [len(encode_header(root))]
    for block in asyncio.run(read_all(car)):
        ends.append(ends[-1] + len(section(block)))
    # In the header, at each boundary of a block, one byte to each side of it, within a length, a CID and the bytes.
    starts = [0, 1, *ends[:-1], *(end + offset for end in ends[:-1] for offset in (-1, 1, 2, 20, 37))]
    end = data.draw(st.sampled_from(sorted({start for start in starts if 0 <= start < len(car)})))
    with pytest.raises(TruncatedCar):
        asyncio.run(unpack(car[:end], root))


@given(trees, st.data())
def test_blocks_missing_extra_moved_or_exchanged_are_noticed(files: dict[str, bytes], data: st.DataObject) -> None:
    root, car = make_car(files)
    blocks = asyncio.run(read_all(car))
    index = data.draw(st.integers(0, len(blocks) - 1))
    place = data.draw(st.integers(0, len(blocks)))
    other = list(blocks)
    match data.draw(st.sampled_from(["missing", "extra", "moved", "repeated", "exchanged"])):
        case "missing":
            del other[index]
        case "extra":
            other.insert(place, leaf(data.draw(st.binary(min_size=41, max_size=50))))
        case "moved":
            other.insert(place, other.pop(index))
        case "repeated":
            other.insert(place, other[index])
        case "exchanged":
            size = len(other[index][1])
            other[index] = leaf(data.draw(st.binary(min_size=size, max_size=size)))
    assume(other != blocks)
    with pytest.raises(ContentError):
        asyncio.run(unpack(car_of(root, *other), root))


async def read_all(car: bytes) -> list[Block]:
    return [block async for block in read_car(in_chunks(car))]


@given(st.binary(max_size=100))
def test_bytes_are_no_car(data: bytes) -> None:
    with pytest.raises(MalformedCar):
        asyncio.run(read_all(data))


@given(st.binary(max_size=80), st.data())
def test_headers_are_ours_or_refused(junk: bytes, data: st.DataObject) -> None:
    good = encode_header(leaf(b"x")[0])[1:]
    for header in (junk, spoilt(good, data)):
        try:
            roots = decode_header(header)
        except ContentError:
            continue
        assert libipld.decode_dag_cbor(header) == {"version": 1, "roots": [bytes(root) for root in roots]}


@given(st.binary(max_size=60))
def test_a_strange_block_in_a_car_is_the_sources_fault_and_not_the_askers(junk: bytes) -> None:
    car = car_of(leaf(b"x")[0]) + encode_varint(max(4, len(junk))) + junk.ljust(4, b"\0")
    with pytest.raises(ContentError) as caught:
        asyncio.run(unpack(car, leaf(b"x")[0]))
    assert isinstance(caught.value, MalformedCar | UnsupportedDag) or caught.value.retryable


async def test_depth_and_counts_are_bounded() -> None:
    chain = [directory()]
    for _ in range(5000):
        chain.append(directory(("d", chain[-1])))
    chain.reverse()
    with pytest.raises(UnsupportedDag, match="below each other"):
        await unpack(car_of(chain[0][0], *chain), chain[0][0])

    nodes = [leaf(b"end")]
    for _ in range(5000):
        nodes.append(node(encode_file_data([3]), Link(nodes[-1][0], "", 3)))
    blocks = dict(nodes)

    async def block_get(cid: Cid) -> bytes:
        return blocks[cid]

    with pytest.raises(UnsupportedDag, match="levels"):
        async for _ in read_file(nodes[-1][0], block_get):
            pass


async def test_a_block_that_comes_a_million_times_ends_at_the_first_one_too_many() -> None:
    once = leaf(b"again")
    piece, sent = section(once) * 1000, 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield encode_header(once[0])
        for _ in range(1000):
            sent += 1
            yield piece

    with pytest.raises(MalformedCar, match="extra block"):
        async for _ in unpack_car(endless(), once[0]):
            pass
    assert sent <= 2


async def test_a_file_longer_than_its_root_says_is_not_given_out_whole() -> None:
    part = leaf(b"12345")
    root = node(encode_file_data([5]), *(Link(part[0], "", 5) for _ in range(1000)))
    blocks = dict([part, root])

    async def block_get(cid: Cid) -> bytes:
        return blocks[cid]

    with pytest.raises(UnsupportedDag, match="1000 links and 1 sizes"):
        await anext(read_file(root[0], block_get))
    longer = node(encode_file_data([4, 5]), Link(part[0]), Link(part[0]))
    blocks[longer[0]] = longer[1]
    with pytest.raises(UnsupportedDag, match="a leaf of 5 bytes, where its parent says 4"):
        await anext(read_file(longer[0], block_get))


async def test_a_car_of_two_roots_or_of_a_root_that_it_does_not_hold_is_refused() -> None:
    one, two = leaf(b"one"), leaf(b"two")
    tagged = [b"\xd8\x2a\x58\x25\x00" + bytes(cid) for cid, _ in (one, two)]
    body = b"\xa2eroots\x82" + b"".join(tagged) + b"gversion\x01"
    car = encode_varint(len(body)) + body + section(one) + section(two)
    with pytest.raises(MalformedCar, match=f"a CAR of {one[0]}, {two[0]} instead of {leaf(b'three')[0]}"):
        await unpack(car, leaf(b"three")[0])
    with pytest.raises(MalformedCar, match="the root: expected block"):
        await unpack(car_of(one[0], two), one[0])


SLOTS = [f"{slot:02X}" for slot in range(256)]


def placed(name: str) -> str:
    """Return a name with the slot that it has in the root of a sharded directory."""
    return f"{name_hash(name)[0]:02X}{name}"


messages = (
    st.binary(max_size=12)
    | st.lists(st.integers(0, 6), max_size=4).map(encode_file_data)
    | st.integers(0, 2**256 - 1).map(encode_shard_data)
    | st.lists(st.integers(0, 255), max_size=3).map(lambda slots: encode_shard_data(sum(1 << slot for slot in set(slots))))
    | st.just(DIRECTORY_DATA)
    | st.binary(max_size=6).map(lambda data: bytes((8, 2, 0x12, len(data))) + data + bytes((0x18, len(data))))
    | st.none()
)
link_names = names | st.just("") | st.integers(0, 255).map(lambda slot: f"{slot:02X}") | names.map(placed)


@st.composite
def dags(draw: st.DrawFn) -> list[Block]:
    """Return blocks that link to those before them, the root last: as likely as not none of them is well formed."""
    blocks = [leaf(draw(st.binary(max_size=6))) for _ in range(2)]
    for _ in range(draw(st.integers(1, 6))):
        below = draw(st.lists(st.tuples(st.sampled_from(blocks), link_names), max_size=4))
        data = draw(messages)
        if draw(st.booleans()):  # a shard whose bit field fits
            below.sort(key=lambda entry: entry[1])
            slots = {int(name[:2], 16) for _, name in below if name[:2] in SLOTS}
            data = encode_shard_data(sum(1 << slot for slot in slots))
        blocks.append(node(data, *(Link(cid, name, 6) for (cid, _), name in below)))
    return blocks


@given(dags())
def test_any_dag_is_walked_to_an_end_or_refused(blocks: list[Block]) -> None:
    known = dict(blocks)

    async def block_get(cid: Cid) -> bytes:
        return known[cid]

    async def walk() -> None:
        left = dict.fromkeys(["bytes", "announced"], 0)
        async for event in walk_dag(blocks[-1][0], block_get):
            match event:
                case FileStart(_, size):
                    assert left["bytes"] == left["announced"]
                    left["announced"] += size
                case FilePiece(data):
                    left["bytes"] += len(data)
        assert left["bytes"] == left["announced"]

    with contextlib.suppress(UnsupportedDag):
        asyncio.run(walk())
    with contextlib.suppress(UnsupportedDag):
        asyncio.run(list_links(blocks[-1][0], block_get))


@given(st.data())
def test_a_spoilt_shard_is_refused_or_still_a_shard(data: st.DataObject) -> None:
    nodes: dict[Cid, bytes] = {}
    made = {name: Link(leaf(b"x")[0], name, 1) for name in data.draw(st.lists(names, min_size=1, max_size=6))}
    root, _ = build_shards(made.values(), nodes)
    block = spoilt(nodes[root], data)
    try:
        got = decode_node(block)
        shard = decode_data(got.data)
        entries = read_shard(got, shard, b"") if isinstance(shard, ShardData) else []
    except UnsupportedDag:
        return
    for entry in entries:
        assert not entry.link.name or name_hash(entry.link.name).startswith(entry.slots)
