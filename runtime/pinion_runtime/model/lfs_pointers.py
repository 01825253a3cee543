"""Files that hold only the pointer of git-lfs: a repository was cloned, or copied, without what the pointers stand for."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import EngineLoadError

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?size (\d{1,20})\n?")
_MAX_BYTES = 1024  # git-lfs writes no longer ones
_NAMES_SHOWN = 10


def refuse_pointers(paths: Sequence[Path], folder: Path) -> None:
    """Raise EngineLoadError that names every pointer among these files below `folder`, and the size of what it stands for."""
    found = [(path.relative_to(folder).as_posix(), size) for path in paths if (size := pointed_size(path)) is not None]
    if found:
        named = ", ".join(f"{name} (it should have {size} bytes)" for name, size in found[:_NAMES_SHOWN])
        more = f" and {len(found) - _NAMES_SHOWN} more" if len(found) > _NAMES_SHOWN else ""
        raise EngineLoadError(f"a git LFS pointer lies in place of the file itself: {named}{more}")


def pointed_size(path: Path) -> int | None:
    """Return the size of what a pointer stands for; None for any other file."""
    if path.stat().st_size > _MAX_BYTES:
        return None
    match = _POINTER.match(path.read_bytes())
    return int(match[1]) if match else None
