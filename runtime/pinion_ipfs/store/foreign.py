"""Which files of a snapshot other programs had put there before ours came: noted with each manifest, left by collections."""

import json
from collections.abc import Set
from pathlib import Path

from .files import read_record, write_atomically


def marker(side: Path, folder: str, commit: str) -> Path:
    """Return where it is noted of a commit, by its repository's folder in the cache."""
    return side / "foreign" / folder / commit


def foreign_paths(noted: Path) -> frozenset[str]:
    """Return the paths that were noted; none where nothing was, or that can't be read."""
    try:
        paths = json.loads(read_record(noted))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else frozenset()


def note_foreign(noted: Path, snapshot: Path, ours: Set[str]) -> None:
    """Note what is in a snapshot besides the files that our manifests of it name; forget what has gone since. Raise OSError."""
    present = {str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_symlink() or path.is_file()}
    before = foreign_paths(noted)
    after = present - (ours - before)
    if after and after != before:
        write_atomically(noted, json.dumps(sorted(after)).encode())
    elif not after:
        noted.unlink(missing_ok=True)
