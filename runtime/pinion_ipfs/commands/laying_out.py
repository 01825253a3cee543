"""The DAG of what a command names on this machine, hashed under a progress bar."""

import argparse
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..content.tree import Listing, list_directory
from ..content.unixfs import FileLayout, TreeLayout, layout_files, layout_tree
from ..program.arguments import UsageError
from .progress_bar import counted


def laid_out(options: argparse.Namespace) -> tuple[TreeLayout | FileLayout, Callable[[str], BinaryIO]]:
    """Return the DAG of what a command names, and how to open each of its files.

    All of a directory or, with patterns, the files that are served with the same patterns. Raises UsageError, OSError and what
    `list_folder` raises.
    """
    listing = chosen(options)
    layouts = hashed(listing.files)
    layout = layouts[""] if "" in layouts else layout_tree(layouts, listing.directories)
    return layout, lambda below: listing.files[below].open("rb")


def chosen(options: argparse.Namespace) -> Listing:
    """Return what a command names: all of a directory, what patterns choose of it, or one file with the path ''."""
    path: Path = options.path
    if not (options.allow or options.ignore):
        return listed(path)
    if not stat.S_ISDIR(path.stat().st_mode):
        raise UsageError(f"--allow and --ignore choose from a directory, and this is none: {path}")
    from ..fetching.folder import (  # not at the top: the hub's library takes longer than a small file to hash
        FolderChoice,
        list_folder,
    )

    _, places = list_folder(FolderChoice(path, tuple(options.allow), tuple(options.ignore)))
    return Listing(dict(places))


def listed(path: Path) -> Listing:
    """Return all of a directory, or one file with the path ''."""
    return list_directory(path) if path.is_dir() else Listing({"": path})


def hashed(places: Mapping[str, Path]) -> dict[str, FileLayout]:
    """Hash files, links followed, and return their layouts by the same names."""
    with counted("hashing", total_of(places)) as add:
        return dict(zip(places, layout_files(list(places.values()), on_bytes=add), strict=True))


def total_of(places: Mapping[str, Path]) -> int:
    """Return the bytes of files; what can't be looked at counts nothing, and whoever reads it says why."""
    total = 0
    for place in places.values():
        with suppress(OSError):
            total += place.stat().st_size
    return total
