import pytest

from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.content.dag_pb import Link, decode_node, encode_node
from pinion_ipfs.content.errors import UnsupportedDag
from pinion_ipfs.content.unixfs_pb import (
    DIRECTORY_DATA,
    DirectoryData,
    FileData,
    ShardData,
    decode_data,
    encode_file_data,
    encode_shard_data,
)

CID = Cid.of_block(RAW, b"hello\n")
HASH = b"\x0a\x24" + bytes(CID)


def wrap(link: bytes) -> bytes:
    return b"\x12" + bytes((len(link),)) + link


def test_an_empty_directory_is_the_well_known_block() -> None:
    assert encode_node((), DIRECTORY_DATA) == b"\x0a\x02\x08\x01"


@pytest.mark.parametrize(
    ("links", "data"),
    [
        ((), None),
        ((), b""),
        ((), b"\x08\x01"),
        ((Link(CID, "", 6),), b"data"),
        ((Link(CID, "ünï", 2**40), Link(CID, "b", 0)), None),
        ((Link(CID, None, None), Link(CID, "a", None), Link(CID, None, 1)), b"x" * 300),
    ],
)
def test_nodes_round_trip(links: tuple[Link, ...], data: bytes | None) -> None:
    node = decode_node(encode_node(links, data))
    assert (node.links, node.data) == (links, data)


@pytest.mark.parametrize(
    "block",
    [
        b"\x0a\x02\x08",  # cut
        b"\x0a",
        b"\x0a\x82\x00\x08\x01",  # length not in its shortest form
        b"\x0a\x02\x08\x01\x0a\x02\x08\x01",  # data twice
        b"\x0a\x02\x08\x01" + wrap(HASH),  # data in front of a link
        b"\x1a\x00",  # unknown field
        b"\x08\x01",  # wrong wire type
        wrap(b""),  # no hash
        wrap(b"\x12\x01a"),
        wrap(HASH + HASH),
        wrap(HASH + b"\x12\x01a\x12\x01b"),
        wrap(HASH + b"\x18\x01\x12\x01a"),  # size in front of the name
        wrap(HASH + b"\x18\x01\x18\x01"),
        wrap(HASH + b"\x18\x81\x00"),
        wrap(HASH + b"\x22\x00"),
        wrap(HASH + b"\x12\x02\xff\xfe"),  # not UTF-8
        wrap(HASH + b"\x12\x05ab"),
        wrap(HASH[:-1]),
        wrap(b"\x0a\x23" + bytes(CID)[:-1]),
        wrap(b"\x0a\x25" + bytes(CID) + b"\0"),
    ],
)
def test_anything_but_the_canonical_form_is_refused(block: bytes) -> None:
    with pytest.raises(UnsupportedDag):
        decode_node(block)


def test_a_file_message_round_trips() -> None:
    sizes = (1_048_576, 1_048_576, 1)
    assert decode_data(encode_file_data(sizes)) == FileData(2_097_153, sizes)
    assert decode_data(b"\x08\x02\x12\x05hello\x18\x05") == FileData(5, (), b"hello")
    assert decode_data(b"\x08\x00\x12\x05hello\x18\x05") == FileData(5, (), b"hello")
    assert decode_data(DIRECTORY_DATA) == DirectoryData()


@pytest.mark.parametrize("slots", [1, 0x80, 0x100, 1 << 255, 2**256 - 1])
def test_a_shard_message_round_trips(slots: int) -> None:
    assert decode_data(encode_shard_data(slots)) == ShardData(slots)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "type"),
        (b"", "type"),
        (b"\x12\x00", "type"),
        (b"\x08\x09", "9"),
        (b"\x08\x04\x12\x01a", "SYMLINK"),
        (b"\x08\x05\x12\x01\x01\x28\x22\x30\x10", "fanout 16: only 256"),
        (b"\x08\x05\x12\x01\x01\x28\x12\x30\x80\x02", "hash 0x12: only murmur3-x64-64"),
        (b"\x08\x05\x12\x01\x01", "hash 0x0"),
        (b"\x08\x05\x12\x21" + bytes(33) + b"\x28\x22\x30\x80\x02", "bit field has 33 bytes"),
        (b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02\x38\x01", "mode"),
        (b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x02\x18\x01", "unknown"),
        (b"\x08\x03", "METADATA"),
        (b"\x08\x00\x12\x01a", "sum"),
        (b"\x08\x00\x18\x01\x20\x01", "RAW with blocks"),
        (b"\x08\x01\x38\xed\x03", "mode"),
        (b"\x08\x02\x12\x05hell", "a field of 5 bytes where 4 are left"),
        (b"\x08\x02\x18\x05\x12\x05hello", "misplaced"),
        (b"\x08\x02\x18\x05", "sum"),
        (b"\x08\x02\x20\x05", "sum"),
        (b"\x08\x02\x18\x05\x20\x04", "sum"),
        (b"\x08\x02\x18\x05\x18\x05\x20\x05", "repeated"),
        (b"\x08\x02\x20\x05\x18\x05", "misplaced"),
        (b"\x08\x02\x18\x05\x22\x01\x05", "unknown"),  # packed sizes
        (b"\x08\x02\x18\x05\x20\x05\x38\xa4\x03", "mode, which is not kept"),
        (b"\x08\x02\x18\x05\x20\x05\x42\x02\x08\x01", "mtime"),
        (b"\x08\x02\x18\x05\x20\x05\x4a\x00", "unknown"),
        (b"\x08\x02\x18\x85\x00\x20\x05", "shortest"),
        (b"\x08\x02\x18", "cut"),
    ],
)
def test_unixfs_outside_the_profile_is_refused_by_name(data: bytes | None, says: str) -> None:
    with pytest.raises(UnsupportedDag, match=says):
        decode_data(data)
