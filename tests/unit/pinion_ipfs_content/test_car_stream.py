from io import BytesIO
from typing import BinaryIO

import libipld
import pytest

from pinion_ipfs.content.car import car_size, car_stream
from pinion_ipfs.content.car_header import decode_header, encode_header
from pinion_ipfs.content.car_reader import MAX_BLOCK, read_car
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.errors import BlockMismatch, ContentError, MalformedCar, TruncatedCar, UnreadableSource, UnsupportedDag
from pinion_ipfs.content.varint import decode_varint, encode_varint
from tests.support.cars import Block, car_of, in_chunks, layout_bytes, leaf, make_car, make_tree, section

MIB = 1024 * 1024


async def read_all(car: bytes, chunk: int = 65_536) -> list[Block]:
    return [block async for block in read_car(in_chunks(car, chunk))]


@pytest.mark.parametrize("chunk", [1, 7, 4096, 10 * MIB])
async def test_blocks_come_back_whatever_the_chunks(chunk: int) -> None:
    blocks = [leaf(bytes([number]) * number * 1000) for number in range(20 if chunk == 1 else 90)]
    reader = read_car(in_chunks(car_of(blocks[0][0], *blocks), chunk))
    assert await reader.roots() == (blocks[0][0],)
    assert [block async for block in reader] == blocks


def test_the_header_is_dag_cbor() -> None:
    cid, _ = leaf(b"hello\n")
    header = encode_header(cid)
    length, start = decode_varint(header)
    body = header[start:]
    assert len(body) == length
    told = libipld.decode_dag_cbor(body)
    assert told == {"version": 1, "roots": [bytes(cid)]}
    assert libipld.encode_dag_cbor({"version": 1, "roots": []}) == b"\xa2eroots\x80gversion\x01"
    assert decode_header(b"\xa2eroots\x80gversion\x01") == ()
    assert decode_header(body) == (cid,)


@pytest.mark.parametrize(
    "header", [b"", b"\xa2", b"\xa2eroots", b"\xa2eroots\x80", b"\xa2eroots\x81gversion\x01", b"\xa1gversion\x02"]
)
def test_other_headers_are_refused(header: bytes) -> None:
    with pytest.raises(MalformedCar):
        decode_header(header)


def test_every_cut_of_the_header_is_refused() -> None:
    header = encode_header(leaf(b"x")[0])
    for end in range(1, len(header)):
        with pytest.raises(ContentError):
            decode_header(header[1:end])


async def test_a_stream_is_root_first_and_as_long_as_announced() -> None:
    files = {"a": b"1", "b/c": b"2" * (2 * MIB + 5), "b/e": b"", "z": b"1"}
    tree = make_tree(files, ["empty"])
    root, car = make_car(files, ["empty"])
    assert len(car) == car_size(tree)
    blocks = await read_all(car)
    assert blocks[0] == (root, tree.nodes[root])
    assert [data for _, data in blocks].count(b"1") == 2  # repeats are kept


def test_one_file_is_a_car_as_well() -> None:
    for data in (b"", b"x", b"x" * (MIB + 1)):
        layout, file = layout_bytes(data), BytesIO(data)
        assert len(b"".join(car_stream(layout, {"": file}.__getitem__))) == car_size(layout)


@pytest.mark.parametrize("now", [b"0123456789"[:-1], b"0123456780"])
def test_a_file_that_changed_is_not_exported(now: bytes) -> None:
    tree = make_tree({"dir/file": b"0123456789"})

    def open_file(path: str) -> BinaryIO:
        assert path == "dir/file"
        return BytesIO(now)

    with pytest.raises(UnreadableSource, match="dir/file: changed"):
        list(car_stream(tree, open_file))


async def test_every_flipped_byte_is_found() -> None:
    root, car = make_car({"a": b"hello", "b/c": b"world"})
    intact = await read_all(car)
    for position in range(len(car)):
        broken = car[:position] + bytes([car[position] ^ 0x40]) + car[position + 1 :]
        try:
            reader = read_car(in_chunks(broken))
            same_root = await reader.roots() == (root,)
            assert [block async for block in reader] == intact
        except ContentError:
            continue
        assert not same_root, f"the flip at {position} went unnoticed"


async def test_every_cut_ends_in_an_error_or_at_a_block() -> None:
    root, car = make_car({"a": b"hello", "b/c": b"world"})
    whole = await read_all(car)
    boundaries = {
        len(encode_header(root)) + sum(len(section(block)) for block in whole[:count]) for count in range(len(whole) + 1)
    }
    for end in range(len(car)):
        if end in boundaries:
            assert await read_all(car[:end]) == whole[: len(await read_all(car[:end]))]
        else:
            with pytest.raises(TruncatedCar):
                await read_all(car[:end])


async def test_good_blocks_come_before_the_fault() -> None:
    blocks = [leaf(bytes([number]) * 100_000) for number in range(5)]
    car = car_of(blocks[0][0], *blocks)
    reader = read_car(in_chunks(car[:-1]))
    assert [await anext(reader) for _ in range(4)] == blocks[:4]
    with pytest.raises(TruncatedCar):
        await anext(reader)


async def test_a_wrong_block_is_named() -> None:
    cid, _ = leaf(b"right" * 20_000)
    with pytest.raises(BlockMismatch) as caught:
        await read_all(car_of(cid, (cid, b"wrong" * 20_000)))
    assert caught.value.expected == str(cid)
    assert caught.value.retryable
    assert caught.value.reason == "CIDMismatch"


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (encode_varint(MAX_BLOCK + 41), MalformedCar),
        (encode_varint(2**62), MalformedCar),
        (b"\xff" * 10, MalformedCar),
        (b"\x80\x00", MalformedCar),
        (b"\x00", MalformedCar),
        (b"\x03abc", MalformedCar),
        (b"\x05\x01\x71\x12\x20\x00", ContentError),
        (b"\x26\x01\x71\x12\x20" + bytes(34), UnsupportedDag),
        (b"\x26\x01\x55\x13\x20" + bytes(34), UnsupportedDag),
    ],
)
async def test_hostile_sections_are_refused(tail: bytes, error: type[ContentError]) -> None:
    with pytest.raises(error):
        await read_all(car_of(leaf(b"x")[0]) + tail)


@pytest.mark.parametrize("start", [b"", b"\x00", encode_varint(5000), b"\x0ahello world"])
async def test_hostile_beginnings_are_refused(start: bytes) -> None:
    with pytest.raises(MalformedCar):
        await read_all(start)


async def test_the_largest_block_is_read() -> None:
    block = leaf(bytes(MAX_BLOCK))
    assert await read_all(car_of(block[0], block)) == [block]
    larger = leaf(bytes(MAX_BLOCK + 1))
    with pytest.raises(MalformedCar):
        await read_all(car_of(larger[0], larger))


def test_cids_are_equal_in_both_versions() -> None:
    cid = Cid.parse("QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN")
    assert decode_header(encode_header(cid)[1:]) == (Cid.parse(str(cid)),)
