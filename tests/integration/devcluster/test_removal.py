"""Folders are deleted as far as that goes, whatever pods have made in them; what is mounted in them is somebody's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devcluster.mounts import mounts_under, unmount
from devcluster.removal import remove_tree
from devcluster.slots import sweep, take_slot
from devcluster.steps import UnfinishedError


@contextmanager
def immutable(*files: Path) -> Iterator[None]:
    """Make files that not even root may delete."""
    for file in files:
        file.touch()
    subprocess.run(["chattr", "+i", *files], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True, timeout=30)


def deep(folder: Path, levels: int) -> None:
    """Make folders in each other, deeper than a path can be long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 100, dir_fd=here)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_all_goes_however_deep(tmp_path: Path) -> None:
    (tmp_path / "folder" / "of").mkdir(parents=True)
    (tmp_path / "folder" / "of" / "file").touch()
    (tmp_path / "folder" / "nowhere").symlink_to("/nowhere-at-all")
    deep(tmp_path / "folder", 1200)
    remove_tree(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
    remove_tree(tmp_path / "folder")


def test_a_link_goes_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (tmp_path / "link").symlink_to("theirs")
    remove_tree(tmp_path / "link")
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs", "file"]


def test_what_is_to_be_kept_stays_at_the_top_alone(tmp_path: Path) -> None:
    for name in ("kept", "inner/kept", "other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_tree(tmp_path, keep=("kept",))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_cannot_go_is_named_and_all_else_goes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "loose").touch()
    stuck = [tmp_path / "folder" / f"stuck{number}" for number in range(5)]
    with immutable(*stuck):
        with pytest.raises(UnfinishedError) as caught:
            remove_tree(tmp_path / "folder")
        assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [path.name for path in stuck]
        *first, last = caught.value.lines
        assert len(first) == 3
        assert all("stuck" in line and line.endswith("Operation not permitted") for line in first)
        assert last == f"{tmp_path / 'folder'}: and 2 more"
    remove_tree(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_and_does_not_go_is_in_nobodys_way(tmp_path: Path) -> None:
    first = take_slot(tmp_path, ())
    first.clear(())
    (first.folder.with_name("999")).mkdir()
    first.folder.mkdir()
    with immutable(first.folder / "stuck"):
        with pytest.raises(UnfinishedError, match=f"{first.folder.name}/stuck"):
            sweep(tmp_path, ())
        assert list(tmp_path.iterdir()) == [first.folder], "all others are swept, and no lock is left"
        another = take_slot(tmp_path, ())
        assert another.folder != first.folder
        another.clear(())
    sweep(tmp_path, ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["plain", "with a blank", "with\\backslash", "grün"])
def test_what_is_mounted_is_not_entered_whatever_its_name(tmp_path: Path, name: str) -> None:
    """A folder of somebody's may be mounted there: its files are not ours. All others go."""
    theirs, inside = tmp_path / "theirs", tmp_path / "ours" / "a" / name
    theirs.mkdir()
    (theirs / "file").touch()
    inside.mkdir(parents=True)
    (tmp_path / "ours" / "a" / "loose").touch()
    (tmp_path / "link").symlink_to("ours")
    subprocess.run(["mount", "--bind", theirs, inside], check=True, timeout=30)
    try:
        assert mounts_under([tmp_path / "link"]) == [inside], "through a link too"
        with pytest.raises(UnfinishedError) as caught:
            remove_tree(tmp_path / "ours")
        assert caught.value.lines == (f"{inside}: something is mounted on it",)
        assert sorted(path.name for path in (tmp_path / "ours").rglob("*")) == sorted(["a", name, "file"])
    finally:
        unmount(inside)
    remove_tree(tmp_path / "ours")
    assert (theirs / "file").exists()
