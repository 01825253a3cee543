"""A folder that shows exactly the files that a CID covers: what else lies beside them can't be loaded by accident."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


def make_view(files: Mapping[str, Path]) -> Path:
    """Make a private folder of links to files, by path in the model; whoever asked removes it with `remove_view`."""
    view = Path(tempfile.mkdtemp(prefix="pinion-"))
    for name, place in files.items():
        link = view / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place.absolute())
    return view


def remove_view(view: Path) -> None:
    """Remove the links; the files stay."""
    shutil.rmtree(view, ignore_errors=True)


def has_others(folder: Path, files: Mapping[str, Path]) -> bool:
    """Tell whether a folder holds anything but these files and the folders that they lie in."""
    return any(
        (Path(parent) / name).relative_to(folder).as_posix() not in files
        for parent, _, names in os.walk(folder)
        for name in names
    )
