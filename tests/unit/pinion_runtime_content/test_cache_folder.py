"""The folder that models are kept in: made, or refused in a sentence that names it and why."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pinion_ipfs.errors import StoreInaccessible
from pinion_runtime.bringup.cache_folder import make_cache_folder


def file(folder: Path) -> Path:
    (folder / "x").touch()
    return folder / "x"


def below_a_file(folder: Path) -> Path:
    return file(folder) / "hf"


def dangling(folder: Path) -> Path:
    (folder / "x").symlink_to("nowhere")
    return folder / "x"


def loop(folder: Path) -> Path:
    (folder / "x").symlink_to("x")
    return folder / "x" / "hf"


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a file": (file, "is no folder: set HF_HOME"),
    "below a file": (below_a_file, "can't be made: (Not a directory|File exists)"),
    "a link to nothing": (dangling, "is a link to nothing"),
    "a loop of links": (loop, "can't be made: Too many levels of symbolic links"),
    "a name that is too long": (lambda folder: folder / ("x" * 300), "can't be made: File name too long"),
    "where nothing can be made": (lambda _: Path("/proc/no-such/hf"), "can't be made: No such file or directory"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_a_sentence(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(StoreInaccessible, match=f"the cache folder .* {message}") as refused:
        make_cache_folder(make(tmp_path))
    assert len(str(refused.value).splitlines()) == 1


def test_it_is_made_for_us_alone(tmp_path: Path) -> None:
    make_cache_folder(tmp_path / "a/hf")
    make_cache_folder(tmp_path / "a/hf")
    assert not (tmp_path / "a/hf").stat().st_mode & 0o022
