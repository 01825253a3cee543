import os
from pathlib import Path

import pytest

from pinion_ipfs.content.errors import UnreadableSource, UnsupportedDag
from pinion_ipfs.content.extract import Extractor, extract_car
from pinion_ipfs.content.tree import layout_directory, layout_path, list_directory
from pinion_ipfs.content.verify import DirectoryFound, FileStart
from tests.support.cars import directory, in_chunks, leaf, make_car, make_tree


def test_everything_below_a_root_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a/b/.hidden").write_bytes(b"1")
    (tmp_path / "ünï").write_bytes(b"2")
    (tmp_path / "link").symlink_to("a/b/.hidden")
    (tmp_path / "linked").symlink_to("a")
    listing = list_directory(tmp_path)
    assert list(listing.files) == ["a/b/.hidden", "link", "linked/b/.hidden", "ünï"]
    assert listing.directories == ["a", "a/b", "empty", "linked", "linked/b"]
    assert layout_directory(tmp_path) == make_tree(
        {"a/b/.hidden": b"1", "link": b"1", "linked/b/.hidden": b"1", "ünï": b"2"}, ["empty"]
    )
    assert layout_path(tmp_path / "link") == layout_path(tmp_path / "a/b/.hidden")


@pytest.mark.parametrize("target", ["..", ".", "../../{root}"])
def test_link_loops_end_in_an_error(tmp_path: Path, target: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/loop").symlink_to(target.format(root=tmp_path.name))
    with pytest.raises(UnreadableSource, match="loop"):
        list_directory(tmp_path)


def test_what_is_neither_file_nor_directory_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnreadableSource, match="fifo: neither"):
        list_directory(tmp_path)


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nothing")
    with pytest.raises(UnreadableSource, match="gone: a link to nothing"):
        list_directory(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")).write_bytes(b"")
    with pytest.raises(UnsupportedDag, match="not UTF-8"):
        list_directory(tmp_path)


async def test_a_car_is_unpacked_as_it_was(tmp_path: Path) -> None:
    files = {"a/b": b"1" * 2_000_000, ".c": b"", "ü/x": b"3"}
    root, car = make_car(files, ["empty"])
    assert await extract_car(in_chunks(car), root, tmp_path / "out") == 2_000_001
    assert layout_directory(tmp_path / "out").root == root
    assert (tmp_path / "out/a/b").read_bytes() == files["a/b"]


async def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    root, car = make_car({"a": b"1"})
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        await extract_car(in_chunks(car), root, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_link_planted_meanwhile_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    cid, _ = directory()
    with Extractor(tmp_path / "out") as extractor:
        extractor.take(DirectoryFound("", cid))
        (tmp_path / "out/d").symlink_to(outside)
        (tmp_path / "out/f").symlink_to(outside / "f")
        for event in (FileStart("d/x", 1, cid), FileStart("f", 1, cid), DirectoryFound("d", cid), DirectoryFound("d/e", cid)):
            with pytest.raises(OSError, match=r"d|f"):
                extractor.take(event)
    assert not list(outside.iterdir())


def test_names_are_checked_once_more_where_they_are_opened(tmp_path: Path) -> None:
    with Extractor(tmp_path / "out") as extractor:
        extractor.take(DirectoryFound("", leaf(b"")[0]))
        for path in ("../x", "a/../../x", "..", "a//b", ""):
            with pytest.raises((UnsupportedDag, OSError)):
                extractor.take(FileStart(path, 1, leaf(b"")[0]))
    assert not (tmp_path / "x").exists()
