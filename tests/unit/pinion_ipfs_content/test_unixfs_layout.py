import os
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import decode_node
from pinion_ipfs.content.errors import UnreadableSource, UnsupportedDag
from pinion_ipfs.content.leaves import CHUNK, hash_files
from pinion_ipfs.content.unixfs import MAX_LINKS, FileHasher, layout_file, layout_leaves, layout_tree
from tests.support.cars import layout_bytes, make_tree

MIB = 1024 * 1024
HELLO = layout_bytes(b"hello\n")


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 40 * MIB + 7])
def test_a_file_in_pieces_and_a_file_on_disk_give_the_same_layout(tmp_path: Path, size: int) -> None:
    random_bytes = random.Random(size)
    data = random_bytes.randbytes(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    hasher = FileHasher()
    position = 0
    while position < size:
        step = random_bytes.choice([1, 17, 4096, MIB - 1, MIB, 3 * MIB + 5])
        hasher.update(data[position : position + step])
        position += step
    assert hasher.finish() == layout_file(path)
    assert [span.digests for span in hash_files([path], threads=1)] == [span.digests for span in hash_files([path], threads=4)]


def test_a_small_file_is_one_raw_leaf() -> None:
    assert HELLO.cid.codec == RAW
    assert (HELLO.size, len(HELLO.leaves), HELLO.nodes, HELLO.dag_size) == (6, 1, (), 6)


@pytest.mark.parametrize(
    ("leaves", "max_links"),
    [(2, MAX_LINKS), (MAX_LINKS, MAX_LINKS), (MAX_LINKS + 1, MAX_LINKS), (2 * MAX_LINKS + 1, MAX_LINKS), (28, 3), (1000, 10)],
)
def test_the_tree_is_balanced_and_its_nodes_come_depth_first(leaves: int, max_links: int) -> None:
    layout = layout_leaves([bytes(32)] * leaves, leaves * CHUNK, max_links=max_links)
    nodes = iter(layout.nodes)

    def walk(cid: Cid) -> tuple[int, int]:
        """Return (leaves below, height)."""
        if cid.codec == RAW:
            return 1, 0
        expected, block = next(nodes)
        assert expected == cid == Cid.of_block(DAG_PB, block)
        links = decode_node(block).links
        assert len(links) <= max_links
        below = [walk(link.cid) for link in links]
        assert len({height for _, height in below}) == 1
        return sum(count for count, _ in below), below[0][1] + 1

    count, height = walk(layout.cid)
    assert count == leaves
    assert height == next(h for h in range(1, 5) if max_links**h >= leaves)
    assert next(nodes, None) is None


def test_the_number_of_leaves_must_fit_the_size() -> None:
    with pytest.raises(ValueError, match="2 leaves for 1 bytes"):
        layout_leaves([bytes(32)] * 2, 1)


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    path, begun, done = tmp_path / "growing", Event(), Event()
    path.write_bytes(bytes(64 * MIB))

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"x")
                begun.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(grow)
        try:
            assert begun.wait(60)
            with pytest.raises(UnreadableSource, match="changed while it was read"):
                layout_file(path)
        finally:
            done.set()
        writer.result()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="not a regular file"):
        layout_file(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnreadableSource, match="not a regular file"):
        layout_file(tmp_path / "fifo")
    with pytest.raises(FileNotFoundError):
        layout_file(tmp_path / "nothing")


def test_a_file_that_has_more_than_it_says_is_refused() -> None:
    with pytest.raises(UnreadableSource, match="/proc/version: says that it has 0 bytes, and has more"):
        layout_file(Path("/proc/version"))


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "socket"])
def test_devices_and_sockets_are_refused(tmp_path: Path, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(UnreadableSource, match="not a regular file"):
            layout_file(tmp_path / path)


def test_entries_are_sorted_by_their_bytes() -> None:
    tree = make_tree({"ä": b"1", "b": b"2", "B": b"3", "a/x": b"4", "a.b": b"5", "\U0001f600": b"6", "￿": b"7"})
    names = [link.name for link in decode_node(tree.nodes[tree.root]).links]
    assert names == ["B", "a", "a.b", "b", "ä", "￿", "\U0001f600"]


def test_the_order_of_the_files_does_not_matter() -> None:
    files = {"b/c": b"1", "a": b"2", "b/a/d": b"3"}
    assert make_tree(files) == make_tree(dict(reversed(files.items())))
    assert make_tree(files).size == 3


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b", "x" * 256, "é" * 128, "a/" + "y" * 256, "bad\udcff"],
)
def test_unsafe_paths_are_refused(path: str) -> None:
    with pytest.raises(UnsupportedDag, match="name"):
        layout_tree({path: HELLO})


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a")])
def test_a_name_that_is_file_and_directory_is_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(UnsupportedDag, match="a file and a directory"):
        layout_tree(dict.fromkeys(paths, HELLO))
    with pytest.raises(UnsupportedDag, match="a file and a directory"):
        layout_tree({"a": HELLO}, ["a/b"])
