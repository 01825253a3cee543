"""How many bytes a store takes."""

import os
from collections.abc import Iterator
from pathlib import Path

from .store import Store


def used_bytes(store: Store) -> int:
    """Return the bytes of the models in the cache and of what lies beside it, a file with several names once. Blocking."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for root in (*store.cache_dir.glob("models--*"), store.side):
        for entry in _files(root):
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_size
    return total


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # gone, or somebody else's
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif not entry.is_symlink():
            yield entry
