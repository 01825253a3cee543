"""What is written can be read: the bounds of a tree are one on both ways, and are checked before a file is opened."""

from pathlib import Path

import pytest

from pinion_ipfs.commands import cli
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.errors import UnreadableSource, UnsupportedDag
from pinion_ipfs.content.names import MAX_DEPTH, MAX_ENTRIES
from pinion_ipfs.content.tree import layout_directory, list_directory
from pinion_ipfs.content.verify import Limits
from tests.support.cars import make_car, unpack

FILES = {"a": b"1", "b/c": b"2", "b/d": b"3", "e/f/g": b"4"}
ENTRIES = 1 + 4 + 3  # the root, files, directories


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    return tmp_path / "tree"


async def test_as_many_entries_are_read_as_are_written(tree: Path) -> None:
    root, car = make_car(FILES)
    assert Limits().max_entries == MAX_ENTRIES > 51 * 2001
    for most in range(1, ENTRIES):
        with pytest.raises(UnsupportedDag, match=f"more than {most} files and directories"):
            list_directory(tree, max_entries=most)
        with pytest.raises(UnsupportedDag, match=f"more than {most} files and directories"):
            await unpack(car, root, Limits(max_entries=most))
    assert list_directory(tree, max_entries=ENTRIES).files.keys() == FILES.keys()
    assert await unpack(car, root, Limits(max_entries=ENTRIES)) == FILES


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_as_deep_a_tree_is_read_as_is_written(depth: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deepest = tmp_path / "tree" / "/".join("d" * depth)
    deepest.mkdir(parents=True)
    (deepest / "file").write_bytes(b"x")
    status = cli.main(["export", str(tmp_path / "tree"), "-o", str(tmp_path / "x.car")])
    if depth > MAX_DEPTH:
        assert status == ExitCode.UNSUPPORTED
        assert f"more than {MAX_DEPTH} directories" in capsys.readouterr().err
        with pytest.raises(UnreadableSource):
            layout_directory(tmp_path / "tree")
    else:
        assert status == cli.main(["import", str(tmp_path / "x.car"), str(tmp_path / "out")]) == 0
