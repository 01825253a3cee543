"""Mounts of this machine, as the kernel lists them."""

import ctypes
import os
import re
from collections.abc import Iterable
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_LIBC = ctypes.CDLL(None, use_errno=True)
_DETACH = 2  # MNT_DETACH: lazily, because a process that is not ours may still look into it


def mount_points() -> list[Path]:
    """Return every mount point, once for each mount on it: also those that another mount hides. None where this is no Linux."""
    if not _TABLE.exists():
        return []
    lines = _TABLE.read_bytes().splitlines()
    # Blanks, tabs, line ends and backslashes are octal numbers there, and all other bytes stand for themselves.
    raw = (re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), line.split()[4]) for line in lines)
    return [Path(os.fsdecode(point)) for point in raw]


def mounts_under(folders: Iterable[Path]) -> list[Path]:
    """Return the mount points below the folders, the innermost first."""
    known = [folder.resolve() for folder in folders]  # the kernel's list knows no symbolic links
    found = [point for point in mount_points() if any(folder in point.parents for folder in known)]
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def unmount(point: Path) -> None:
    """Take away the mount that is seen at a mount point; raise OSError."""
    if _LIBC.umount2(os.fsencode(point), _DETACH):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(point))
