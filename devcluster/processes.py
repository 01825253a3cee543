"""Processes of a cluster as the kernel sees them: alive or not, which belong to a state folder, and how they are ended."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import DevClusterError

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process, told from a later one with the same pid by its start time (clock ticks since boot)."""

    pid: int
    started: int

    @classmethod
    def find(cls, pid: int) -> "Process | None":
        """Return the process with this pid, or None when it is gone or only waits to be reaped."""
        try:
            # The name in parentheses may hold blanks and parentheses itself: split after the last one.
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # PID 1 may reap late: a killed daemon is a zombie for seconds, and `kill -0` still says yes.
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @classmethod
    def parse(cls, text: str) -> "Process | None":
        """Read what `str()` wrote; None when it is not that."""
        pid, _, started = text.partition(" ")
        return cls(int(pid), int(started)) if pid.isdigit() and started.isdigit() else None

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"

    @property
    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return Process.find(self.pid) == self

    @property
    def arguments(self) -> list[str]:
        """Return its command line; empty for kernel threads and for a process that is gone."""
        try:
            return (PROC / str(self.pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return []

    def kill(self, number: signal.Signals) -> None:
        """Send a signal; a process that is already gone is no error."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def all_processes() -> list[Process]:
    """Return every process of the machine but this one; none where this is no Linux."""
    if not PROC.is_dir():
        return []
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for pid in pids if pid != os.getpid() and (process := Process.find(pid))]


def running_programs() -> set[Path]:
    """Return the files that processes of this machine run."""
    found = set()
    for process in all_processes():
        with contextlib.suppress(OSError):  # it is gone, or a thread of the kernel
            found.add((PROC / str(process.pid) / "exe").readlink())
    return found


def processes_under(folders: Iterable[Path], programs: Iterable[str]) -> list[Process]:
    """Return processes of the named programs that have a path below one of the folders in their command line."""
    places, names = list(folders), set(programs)
    found = []
    for process in all_processes():
        first, *rest = process.arguments or [""]
        if Path(first).name in names:
            named = [folder for folder in places if any(f"{folder}/" in word for word in rest)]
            if any(_has_our(folder, process) for folder in named):
                found.append(process)
    return found


def _has_our(folder: Path, process: Process) -> bool:
    """Tell whether a folder is the same to a process as to us: one with mounts of its own may have another under that name."""
    try:
        return _identity(PROC / str(process.pid) / f"root{folder.absolute()}") == _identity(folder)
    except OSError:  # nobody may look there
        return True


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        seen = folder.stat()
    except FileNotFoundError:
        return None
    return seen.st_dev, seen.st_ino


def terminate(processes: Iterable[Process], *, grace: float = 0, patience: float = 20) -> None:
    """End processes and wait until they are gone; raise DevClusterError naming those that survive SIGKILL."""
    if stuck := end(processes, grace=grace, patience=patience):
        raise DevClusterError(f"survive SIGKILL: {', '.join(map(_title, stuck))}")


def end(processes: Iterable[Process], *, grace: float = 0, patience: float = 20) -> list[Process]:
    """End processes: with a grace TERM first and that many seconds, then KILL; return those alive `patience` seconds later."""
    remaining = [process for process in processes if process.alive]
    if grace:
        for process in remaining:
            process.kill(signal.SIGTERM)
        remaining = _wait_for_end(remaining, grace)
    for process in remaining:
        process.kill(signal.SIGKILL)
    return _wait_for_end(remaining, patience)


def _title(process: Process) -> str:
    try:  # a process that cannot end has no command line any more
        return f"{process.pid} ({(PROC / str(process.pid) / 'comm').read_text().strip()})"
    except OSError:
        return str(process.pid)


def _wait_for_end(processes: list[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if process.alive]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive
