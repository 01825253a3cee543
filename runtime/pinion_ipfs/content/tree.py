"""Local directories as trees: every file below a root, dot files included, links followed, each name checked."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .errors import UnreadableSource, UnsupportedDag
from .names import MAX_DEPTH, MAX_ENTRIES, check_name
from .unixfs import FileLayout, TreeLayout, layout_file, layout_files, layout_tree


@dataclass(slots=True)
class Listing:
    """What lies below a root, by path relative to it (`/` between names); directories without their root."""

    files: dict[str, Path] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)


def list_directory(root: Path, skip: Callable[[str], bool] = lambda path: False, *, max_entries: int = MAX_ENTRIES) -> Listing:
    """List a directory, links followed; what `skip` says of a path is not looked at, nor what lies below it.

    Raise UnsupportedDag for an unsafe name or more than can be read again, UnreadableSource for a dangling link, a link loop,
    or what is neither file nor directory.
    """
    listing = Listing()
    _list(root, "", (), listing, skip, max_entries)
    return listing


def layout_directory(root: Path) -> TreeLayout:
    """Compute the tree of a directory; its root is what `ipfs add -r --hidden --dereference-symlinks` prints."""
    listing = list_directory(root)
    layouts = layout_files(list(listing.files.values()))
    return layout_tree(dict(zip(listing.files, layouts, strict=True)), listing.directories)


def layout_path(path: Path) -> TreeLayout | FileLayout:
    """Compute the DAG of a directory or of a single file."""
    return layout_directory(path) if path.is_dir() else layout_file(path)


def _list(
    directory: Path, prefix: str, above: tuple[tuple[int, int], ...], listing: Listing, skip: Callable[[str], bool], most: int
) -> None:
    info = directory.stat()
    identity = (info.st_dev, info.st_ino)
    if identity in above:
        raise UnreadableSource(f"{directory}: a link to a directory that holds it")
    if len(above) > MAX_DEPTH:
        raise UnreadableSource(f"{directory}: more than {MAX_DEPTH} directories below each other")
    above = (*above, identity)
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = f"{prefix}{entry.name}"
            if skip(path):
                continue
            if 1 + len(listing.files) + len(listing.directories) >= most:
                raise UnsupportedDag(f"{directory}: more than {most} files and directories")
            check_name(entry.name, path)
            try:
                info = entry.stat()
            except FileNotFoundError as error:
                raise UnreadableSource(f"{directory / entry.name}: a link to nothing") from error
            if stat.S_ISDIR(info.st_mode):
                listing.directories.append(path)
                _list(directory / entry.name, f"{path}/", above, listing, skip, most)
            elif stat.S_ISREG(info.st_mode):
                listing.files[path] = directory / entry.name
            else:
                raise UnreadableSource(f"{directory / entry.name}: neither file nor directory")
