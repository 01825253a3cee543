"""Bytes on disk against leaves of any size and kind, and the records that say which they are."""

import os
from pathlib import Path

import pytest

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.content.varint import encode_varint
from pinion_ipfs.errors import UnsupportedDag
from pinion_ipfs.store import Store
from pinion_ipfs.store.laid_out import MAX_LEAF, Leaf, first_wrong, leaves_of
from pinion_ipfs.store.tree_records import FileRecord, TreeRecords

SIZES = (1000, 1000, 1000, 17)


def leaf_of(data: bytes, kind: str) -> tuple[Cid, bytes]:
    """Return a leaf as programs make it: raw, or within dag-pb as UnixFS type File (2) or Raw (0)."""
    if kind == "raw":
        return Cid.of_block(RAW, data), data
    field = b"\x12" + encode_varint(len(data)) + data if data else b""
    block = encode_node((), bytes((0x08, 2 if kind == "file" else 0)) + field + b"\x18" + encode_varint(len(data)))
    return Cid.of_block(DAG_PB, block), block


def node_over(parts: list[tuple[Cid, int]]) -> tuple[Cid, bytes]:
    block = encode_node((Link(cid, "", size) for cid, size in parts), encode_file_data([size for _, size in parts]))
    return Cid.of_block(DAG_PB, block), block


@pytest.mark.parametrize("kind", ["raw", "file", "old"])
def test_a_flipped_a_missing_and_an_extra_byte_are_found(kind: str, tmp_path: Path) -> None:
    pieces = [os.urandom(size) for size in SIZES]
    cids = [leaf_of(piece, kind)[0] for piece in pieces]
    inner, inner_block = node_over([(cids[0], 1000), (cids[1], 1000)])
    root, root_block = node_over([(inner, 2000), (cids[2], 1000), (cids[3], 17)])
    leaves = leaves_of(root, sum(SIZES), {root: root_block, inner: inner_block}.get)
    assert leaves == tuple(map(Leaf, cids, SIZES))
    assert [leaf.block(piece) for leaf, piece in zip(leaves, pieces, strict=True)] == [leaf_of(p, kind)[1] for p in pieces]
    path, data = tmp_path / "file", b"".join(pieces)
    for content, wrong in ((data, None), (data[:-1], 3), (data + b"x", 3), (data[:1500] + b"?" + data[1501:], 1), (b"", 0)):
        path.write_bytes(content)
        assert first_wrong(path, leaves) == wrong
    with pytest.raises(UnsupportedDag, match="other bytes"):
        leaves[0].block(b"another")


@pytest.mark.parametrize("kind", ["raw", "file", "old"])
def test_an_empty_file_is_one_leaf(kind: str, tmp_path: Path) -> None:
    cid, _ = leaf_of(b"", kind)
    (tmp_path / "empty").touch()
    assert first_wrong(tmp_path / "empty", leaves_of(cid, 0, lambda cid: None)) is None


def test_nodes_that_do_not_add_up_are_refused() -> None:
    cid, _ = leaf_of(b"x" * 10, "raw")
    root, block = node_over([(cid, 10)])
    for size, nodes, message in ((11, {root: block}, "no node of 11 bytes"), (MAX_LEAF + 1, {}, "a leaf of")):
        with pytest.raises(UnsupportedDag, match=message):
            leaves_of(root, size, nodes.get)


def test_records_are_hashed_when_they_are_read_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    cid, _ = leaf_of(b"x", "raw")
    root, block = node_over([(cid, 1)])
    records = TreeRecords(Store(tmp_path), "d" * 64)
    records.put_nodes({root: block})
    records.put_file(root, FileRecord("a" * 64, 1, {root: block}))
    again = TreeRecords(Store(tmp_path), "d" * 64)
    assert again.nodes() == again.all_nodes() == {root: block}
    assert again.file(root) == FileRecord("a" * 64, 1, {root: block})
    for path in (tmp_path / "pinion/trees").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert (again.nodes(), again.file(root)) == ({}, None)
    records.remove_file(root)
    assert len(list((tmp_path / "pinion/trees").iterdir())) == 1
