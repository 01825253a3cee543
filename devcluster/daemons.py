"""Daemons of a cluster: started in sessions of their own, logged to files, found again after an interrupted run."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .errors import DevClusterError
from .processes import Process, terminate


class DaemonError(DevClusterError):
    """A daemon died or never became ready; the message names it and carries the end of its log."""


class Daemons:
    """The daemons of one state folder: a log, a pid file and a command line each, in `logs/`, `pids/` and `commands/`."""

    def __init__(self, state: Path, *, tied: bool) -> None:
        """Keep logs and pids under `state`; the kernel kills tied daemons when the thread that started them ends."""
        self._logs, self._pids, self._commands, self._tied = state / "logs", state / "pids", state / "commands", tied
        self._children: list[int] = []
        for folder in (self._logs, self._pids, self._commands):
            folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, argv: Sequence[str | Path]) -> None:
        """Start a daemon that runs until it is stopped."""
        command = [str(word) for word in argv]
        (self._commands / name).write_text(json.dumps(command))
        if self._tied:
            command = [find_program("setpriv", "util-linux"), "--pdeathsig", "KILL", *command]
        # Not subprocess.Popen: its objects insist on the end of a child, and these are meant to outlive us.
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self.log(name), write, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=streams, setsid=True)
        self._children.append(pid)
        if process := Process.find(pid):
            (self._pids / name).write_text(str(process))

    def crash(self, name: str) -> None:
        """Kill a running daemon at once and start it again with the same command, as a node's init system does."""
        if (process := self.find(name)) is None:
            raise DaemonError(f"{name} does not run")
        process.kill(signal.SIGKILL)
        terminate([process])
        self.start(name, json.loads((self._commands / name).read_text()))

    def log(self, name: str) -> Path:
        """Return the path of a daemon's log."""
        return self._logs / f"{name}.log"

    def names(self) -> list[str]:
        """Return the names of all daemons that were started here, by this process or an earlier one."""
        return sorted(path.name for path in self._pids.iterdir())

    def find(self, name: str) -> Process | None:
        """Return the running process of a daemon, or None."""
        try:
            process = Process.parse((self._pids / name).read_text())
        except FileNotFoundError:
            return None
        return process if process and process.alive else None

    def wait_until(self, ready: Callable[[], bool], name: str, *, timeout: float) -> None:
        """Poll until `ready()`; raise DaemonError when the daemon dies or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.find(name) is None:
                raise DaemonError(f"{name} died; its log is {self.log(name)}\n{self.tail(name)}")
            if time.monotonic() > deadline:
                raise DaemonError(f"{name} was not ready after {timeout:.0f} s; its log is {self.log(name)}\n{self.tail(name)}")
            time.sleep(0.05)

    def tail(self, name: str, lines: int = 12) -> str:
        """Return the last lines of a daemon's log."""
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def stop(self, names: Iterable[str] | None = None, *, grace: float = 0) -> None:
        """End daemons (all when None) and wait for it: TERM and `grace` seconds first when there is a grace, then KILL."""
        wanted = self.names() if names is None else list(names)
        terminate([process for name in wanted if (process := self.find(name))], grace=grace)
        for name in wanted:
            (self._pids / name).unlink(missing_ok=True)
        self._children = [pid for pid in self._children if os.waitpid(pid, os.WNOHANG)[0] == 0]


def find_program(name: str, package: str) -> str:
    """Return the path of a system program, looking where root's programs are too; raise DaemonError naming its package."""
    program = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin")))
    if program is None:
        raise DaemonError(f"the program {name} is needed (package {package})")
    return program
