"""Folders are deleted as far as that goes: what cannot go is named, and nothing that is mounted there is entered."""

import os
import subprocess
from collections.abc import Collection
from pathlib import Path

from .mounts import mounts_under
from .steps import UnfinishedError

_TOLD = 3  # lines about one folder
_TIMEOUT = 600


def remove_tree(path: Path, keep: Collection[str] = ()) -> None:
    """Delete a file, or a folder with all but the names to be kept; raise UnfinishedError with what cannot go, and why."""
    whole = path.parent.resolve() / path.name  # a link goes, and not what it leads to
    lines = _remove(whole, mounts_under([whole.parent]), keep)
    if lines:
        more = [f"{whole}: and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else []
        raise UnfinishedError((*lines[:_TOLD], *more))


def _remove(path: Path, mounted: list[Path], keep: Collection[str]) -> list[str]:
    if path in mounted:
        return [f"{path}: something is mounted on it"]
    if not keep and not any(path in point.parents for point in mounted):
        return _remove_at_once(path)
    try:
        lines = [line for child in path.iterdir() if child.name not in keep for line in _remove(child, mounted, ())]
        if not lines and not any(path.iterdir()) and not path.is_symlink():
            path.rmdir()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return lines


def _remove_at_once(path: Path) -> list[str]:
    """Delete what nothing is mounted in: however deep it is, a pod may have made it."""
    command = ["rm", "-rf", "--", str(path)]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return [f"{path}: not deleted within {_TIMEOUT} s"]
    return [line.removeprefix("rm: cannot remove ") for line in done.stderr.splitlines()] if done.returncode else []
