"""Processes as the kernel tells of them; one that ends between two looks has ended."""

from pathlib import Path

from pinion_runtime.pod.memory import tree
from tests.support.serve import Served


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or waits to be reaped."""
    return state(pid) in ("", "Z", "X")


def state(pid: int) -> str:
    """Return the letter of a process's state as proc_pid_stat(5) has it, "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def command_line(pid: int) -> bytes:
    """Return what a process was started with, b"" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def engines_of(served: Served) -> list[int]:
    """Return the process ids of the engines of a server."""
    return [pid for pid in tree(served.process.pid) if b"engines.worker" in command_line(pid)]


def engine_of(served: Served) -> int:
    """Return the process id of its only engine."""
    found = engines_of(served)
    assert len(found) == 1, f"engine processes: {found}"
    return found[0]
