"""Listing a tree from its nodes alone: paths, sizes, what is refused, and that no leaf is asked for."""

import tracemalloc
from collections.abc import Mapping

import pytest

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.names import MAX_DEPTH
from pinion_ipfs.content.unixfs import FileHasher, FileLayout, layout_tree
from pinion_ipfs.content.unixfs_pb import DIRECTORY_DATA
from pinion_ipfs.errors import ContentMissing, SourceNotFound, UnsupportedDag
from pinion_ipfs.fetching.tree_walk import BlockGet, TreeFile, walk_tree

MIB = 1024 * 1024
LEAF = Cid.of_block(RAW, b"x")


def file(size: int) -> FileLayout:
    hasher = FileHasher()
    hasher.update(bytes(size))
    return hasher.finish()


def giving(blocks: Mapping[Cid, bytes]) -> BlockGet:
    async def get(cid: Cid) -> bytes:
        if cid not in blocks:
            raise ContentMissing(f"{cid} is not there")
        return blocks[cid]

    return get


def directory(*links: Link) -> tuple[Cid, bytes]:
    block = encode_node(links, DIRECTORY_DATA)
    return Cid.of_block(DAG_PB, block), block


async def test_files_are_listed_with_their_sizes_and_no_leaf_is_asked_for() -> None:
    files = {"config.json": file(7), "deep/er/model.bin": file(3 * MIB + 1), "empty": file(0)}
    tree = layout_tree(files, ["nothing"])
    blocks = {**tree.nodes, **{cid: block for layout in files.values() for cid, block in layout.nodes}}
    found = await walk_tree(tree.root, "", giving(blocks))
    assert found.files == {path: TreeFile(path, layout.size, layout.cid) for path, layout in files.items()}
    assert (found.cid, found.nodes) == (tree.root, blocks)
    below = await walk_tree(tree.root, "deep/er", giving(blocks))
    assert list(below.files) == ["model.bin"]


@pytest.mark.parametrize(("path", "error", "message"), [
    ("gone", SourceNotFound, "has no 'gone'"),
    ("deep/gone", SourceNotFound, "has no 'deep/gone'"),
    ("config.json", UnsupportedDag, "is a file, not a directory"),
    ("config.json/x", UnsupportedDag, "is a file, not a directory"),
    ("large", UnsupportedDag, "is a file, not a directory"),
])  # fmt: skip
async def test_a_path_that_leads_nowhere_is_refused(path: str, error: type[Exception], message: str) -> None:
    files = {"config.json": file(7), "deep/x": file(1), "large": file(MIB + 1)}
    tree = layout_tree(files)
    with pytest.raises(error, match=message):
        await walk_tree(tree.root, path, giving({**tree.nodes, **dict(files["large"].nodes)}))


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ((Link(LEAF, "..", 1),), "means another directory"),
        ((Link(LEAF, "a/b", 1),), "holds a slash"),
        ((Link(LEAF, "", 1),), "is empty"),
        ((Link(LEAF, "a", 1), Link(LEAF, "a", 1)), "comes twice"),
        (tuple(Link(LEAF, f"{number}", 1) for number in range(9)), "more than 8 files and directories"),
    ],
)
async def test_what_must_not_reach_a_disk_is_refused(links: tuple[Link, ...], message: str) -> None:
    root, block = directory(*links)
    with pytest.raises(UnsupportedDag, match=message):
        await walk_tree(root, "", giving({root: block}), max_entries=8)


async def test_too_deep_and_too_much_is_refused() -> None:
    cid, block = directory()
    blocks = {cid: block}
    for _ in range(MAX_DEPTH + 1):
        cid, block = directory(Link(cid, "a", len(block)))
        blocks[cid] = block
    with pytest.raises(UnsupportedDag, match=f"more than {MAX_DEPTH} directories below each other"):
        await walk_tree(cid, "", giving(blocks))
    with pytest.raises(UnsupportedDag, match="nodes of more than 100 bytes"):
        await walk_tree(cid, "", giving(blocks), max_bytes=100)


async def test_a_raw_leaf_whose_link_tells_no_size_is_asked_itself() -> None:
    root, block = directory(Link(LEAF, "a", None))
    found = await walk_tree(root, "", giving({root: block, LEAF: b"x"}))
    assert found.files["a"].size == 1


async def test_many_names_of_one_directory_are_refused_before_they_are_in_memory() -> None:
    below, block = directory(*(Link(LEAF, f"{number:04}", 1) for number in range(200)))
    root, root_block = directory(*(Link(below, f"{number:04}", 1) for number in range(200)))
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedDag, match="more than 1000 files and directories"):
            await walk_tree(root, "", giving({root: root_block, below: block}), max_entries=1000)
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


async def test_one_directory_under_several_names_has_its_files_under_each() -> None:
    below, block = directory(Link(LEAF, "x", 1))
    root, root_block = directory(Link(below, "a", 1), Link(below, "b", 1))
    found = await walk_tree(root, "", giving({root: root_block, below: block}), max_entries=5)
    assert set(found.files) == {"a/x", "b/x"}
    with pytest.raises(UnsupportedDag, match="more than 4 files and directories"):
        await walk_tree(root, "", giving({root: root_block, below: block}), max_entries=4)
