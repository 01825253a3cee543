"""Time and peak memory of a child process, with everything it started."""

import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    seconds: float
    peak_bytes: int  # resident, of the largest process
    output: str


def measure(command: list[str], environment: dict[str, str] | None = None) -> Measured:
    """Run a command to its end; raise CalledProcessError when it fails."""
    started = time.perf_counter()
    with subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(time.perf_counter() - started, _peak(usage), output)


def _peak(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss * 1024


def warm_cache(folder: Path) -> None:
    """Read every file once, so that neither contender pays for the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 22):
                    pass
