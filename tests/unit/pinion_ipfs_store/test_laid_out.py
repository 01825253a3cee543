"""Bytes on disk against leaves of any size and kind, and the records that say which they are."""

import os
from pathlib import Path

import pytest

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.content.varint import encode_varint
from pinion_ipfs.content.verify import MAX_FILE_DEPTH, MAX_FILE_LINKS
from pinion_ipfs.errors import StorageFilled, UnsupportedDag
from pinion_ipfs.store import Store
from pinion_ipfs.store.laid_out import (
    FREE_LEAVES,
    MAX_FILE_NODES_BYTES,
    MAX_LEAF,
    MAX_LEAVES,
    Leaf,
    check_leaves,
    check_nodes,
    first_wrong,
    leaves_of,
)
from pinion_ipfs.store.tree_records import MAX_KEPT_BYTES, FileRecord, TreeRecords

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
    for size, nodes, message in (
        (11, {root: block}, "a node of 10 bytes, where its parent says 11"),
        (MAX_LEAF + 1, {}, "a leaf of"),
    ):
        with pytest.raises(UnsupportedDag, match=message):
            leaves_of(root, size, nodes.get)


def test_parts_of_0_bytes_are_refused_before_they_multiply() -> None:
    here, _ = leaf_of(b"", "raw")
    nodes: dict[Cid, bytes] = {}
    for _ in range(4):
        here, block = node_over([(here, 0)] * 15)
        nodes[here] = block
    root, block = node_over([(leaf_of(b"x", "raw")[0], 1), (here, 0)])
    with pytest.raises(UnsupportedDag, match="a part of 0 bytes"):
        leaves_of(root, 1, {root: block, **nodes}.get)


def test_more_levels_or_links_than_the_walk_reads_are_refused() -> None:
    leaf, _ = leaf_of(b"x", "raw")
    here, nodes = leaf, {}
    for _ in range(MAX_FILE_DEPTH):
        here, block = node_over([(here, 1)])
        nodes[here] = block
    assert leaves_of(here, 1, nodes.get) == (Leaf(leaf, 1),)
    deeper, block = node_over([(here, 1)])
    wide, wide_block = node_over([(leaf, 1)] * (MAX_FILE_LINKS + 1))
    for root, size, message in (
        (deeper, 1, f"more than {MAX_FILE_DEPTH} levels"),
        (wide, MAX_FILE_LINKS + 1, f"{MAX_FILE_LINKS + 1} links .* up to {MAX_FILE_LINKS}"),
    ):
        with pytest.raises(UnsupportedDag, match=message):
            leaves_of(root, size, {**nodes, deeper: block, wide: wide_block}.get)


def test_a_large_file_in_tiny_leaves_is_refused() -> None:
    leaf, _ = leaf_of(b"x", "raw")
    inner, inner_block = node_over([(leaf, 1)] * 8000)
    root, block = node_over([(inner, 8000)] * 6000)
    with pytest.raises(UnsupportedDag, match=f"a file of 48000000 bytes in more than {FREE_LEAVES} leaves"):
        leaves_of(root, 48_000_000, {root: block, inner: inner_block}.get)


@pytest.mark.parametrize(("count", "size"), [
    (FREE_LEAVES, 1),
    (FREE_LEAVES + 1, (FREE_LEAVES + 1) * 1024),
    (MAX_LEAVES, 2**50),
])  # fmt: skip
def test_the_bounds_of_leaves(count: int, size: int) -> None:
    check_leaves(count, size)
    with pytest.raises(UnsupportedDag, match="in more than"):
        check_leaves(count + 1, size)


def test_the_bound_of_nodes() -> None:
    check_nodes(MAX_FILE_NODES_BYTES)
    with pytest.raises(UnsupportedDag, match="nodes of more than"):
        check_nodes(MAX_FILE_NODES_BYTES + 1)


def test_records_are_hashed_when_they_are_read_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    cid, _ = leaf_of(b"x", "raw")
    root, block = node_over([(cid, 1)])
    records = TreeRecords(Store(tmp_path), "d" * 64)
    records.put_nodes({root: block}, root=root)
    records.put_file(root, FileRecord("a" * 64, 1, {root: block}))
    again = TreeRecords(Store(tmp_path), "d" * 64)
    assert again.nodes() == again.all_nodes() == {root: block}
    assert again.file(root) == FileRecord("a" * 64, 1, {root: block})
    for path in (tmp_path / "pinion/trees").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert (again.nodes(), again.file(root)) == ({}, None)
    records.remove_file(root)
    assert len(list((tmp_path / "pinion/trees").iterdir())) == 1


def test_records_that_cannot_be_written_are_kept_in_memory_up_to_a_bound(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    (tmp_path / "pinion/trees").touch()  # no folder: each write fails, as on a full volume
    records = TreeRecords(store, "d" * 64)
    cid, _ = leaf_of(b"x", "raw")
    root, block = node_over([(cid, 1)])
    records.put_nodes({root: block}, root=root)
    records.put_file(root, FileRecord("a" * 64, 1, {root: block}))
    assert (records.nodes(), records.file(root)) == ({root: block}, FileRecord("a" * 64, 1, {root: block}))
    part = bytes(MAX_KEPT_BYTES // 6)
    large = {Cid.of_block(RAW, part): part}
    for number in range(5):
        records.put_file(Cid.of_block(RAW, bytes([number])), FileRecord("a" * 64, 1, large))
    with pytest.raises(StorageFilled):
        records.put_file(cid, FileRecord("a" * 64, 1, large))
