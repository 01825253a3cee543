"""Memory and processor time of the pod's process tree: measured, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class TreeUse:
    """One sample of a process and everything below it."""

    resident_bytes: int  # proportional: a page that two processes share counts once
    cpu_seconds: float  # user and system, of the processes alive
    processes: int


def tree(root: int | None = None, proc: Path = _PROC) -> list[int]:
    """Return the ids of a process (this one by default) and of all its descendants."""
    found = [root or os.getpid()]
    for pid in found:
        for task in _entries(proc / str(pid) / "task"):
            children = _text(task / "children")
            found += [int(child) for child in children.split()]
    return found


def measure(root: int | None = None, proc: Path = _PROC) -> TreeUse:
    """Return what the process tree uses now; a process that ends meanwhile counts as nothing."""
    pids = tree(root, proc)
    return TreeUse(sum(_resident(proc / str(p)) for p in pids), sum(_cpu_seconds(proc / str(p)) for p in pids), len(pids))


def _resident(process: Path) -> int:
    for line in _text(process / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    fields = _text(process / "statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _cpu_seconds(process: Path) -> float:
    # The command, in brackets, may hold blanks: count the fields from its end.
    fields = _text(process / "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
