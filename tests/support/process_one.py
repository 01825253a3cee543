"""Commands as process 1 of a PID namespace of their own, as in a container: no signal ends them that they do not handle."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.serve import wait_until

BIN = Path(sys.executable).parent  # of this project's programs: python, the init, pinion-serve
_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--")
# Nothing survives a test run that was killed.
# A signal that whoever runs the tests ignores (nohup) is not to be ignored by what they start.
_WITH_US = ("env", "--default-signal", "setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True)
class Ended:
    """How long it took from the signal until nothing of it was left, and the exit code."""

    seconds: float
    code: int


@dataclass
class Started:
    """A command that runs: as process 1 with all that it starts, or as an ordinary process."""

    process: subprocess.Popen[bytes]
    pid: int  # of the command, as we see it
    log: Path

    def handles(self, number: signal.Signals) -> bool:
        """Return whether it has a handler for a signal."""
        caught = next(line for line in self._status() if line.startswith("SigCgt:")).split()[1]
        return bool(int(caught, 16) & 1 << (number - 1))

    def has_loaded(self, library: str) -> bool:
        """Return whether a shared library is mapped whose path holds this."""
        return library in Path(f"/proc/{self.pid}/maps").read_text()

    def children(self) -> list[int]:
        """Return the process ids of its children, the dead that nobody has reaped included."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def output(self) -> str:
        """Return what it wrote."""
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the command a signal, as a kubelet does."""
        os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM, *, limit: float = 20.0) -> Ended:
        """Send a signal and wait until nothing is left; AssertionError when something is after `limit` seconds."""
        gone = os.pidfd_open(self.process.pid)
        try:
            told = time.monotonic()
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                self.send(number)
            ended = select.select([gone], [], [], limit)[0]
            seconds = time.monotonic() - told
        finally:
            os.close(gone)
        assert ended, f"it goes on {limit:g} s after {number.name}; the log ends:\n{self.output()[-2000:]}"
        return Ended(seconds, self.process.wait())

    def _status(self) -> list[str]:
        return Path(f"/proc/{self.pid}/status").read_text().splitlines()


@dataclass
class Starter:
    """Starts commands, and ends what is left of them."""

    folder: Path
    _started: list[Started] = field(default_factory=list)

    def process_one(self, *command: str, environment: Mapping[str, str] | None = None) -> Started:
        """Start a command as process 1 and return once it has begun."""
        process, log = self._start([*_WITH_US, *_NAMESPACE, *command], environment)
        started = Started(process, process.pid, log)
        self._started.append(started)

        def begun() -> bool:
            assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
            pids = started.children()
            return bool(pids) and Path(f"/proc/{pids[0]}/exe").readlink().name != "unshare"

        wait_until(begun, 60, f"process 1: {' '.join(command)}")
        started.pid = started.children()[0]
        return started

    def ordinary(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> Started:
        """Start a command as a shell does; without `stdout` what it prints is logged with its complaints."""
        process, log = self._start([*_WITH_US, *command], environment, stdin, stdout)
        started = Started(process, process.pid, log)
        self._started.append(started)
        return started

    def close(self) -> None:
        """Kill what still runs."""
        for started in self._started:
            started.process.kill()
            started.process.wait()

    def _start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"process-{len(self._started)}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PINION_"))}
        inside = {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", **(environment or {})}
        with log.open("wb") as output:
            out = output if stdout is None else stdout
            process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=output, env=inside)
        return process, log


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    """Start commands that end with the test."""
    starting = Starter(tmp_path)
    try:
        yield starting
    finally:
        starting.close()
