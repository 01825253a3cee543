"""`pinion-ipfs` as a program of its own."""

import os
import subprocess
import sys
from pathlib import Path


class Program:
    """The program with a store of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "KUBO_", "IPFS_", "ENABLE_"))}
        self.environment = kept | {"HF_HOME": str(home), **environment}

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        return self.bytes(*arguments, status=status).decode()

    def output(self, *arguments: str | Path, status: int) -> str:
        """Return what it prints, whatever becomes of it."""
        return self._run(arguments, status).stdout.decode()

    def bytes(self, *arguments: str | Path, status: int = 0) -> bytes:
        done = self._run(arguments, status)
        return done.stdout if status == 0 else done.stderr

    def _run(self, arguments: tuple[str | Path, ...], status: int) -> "subprocess.CompletedProcess[bytes]":
        command = [sys.executable, "-m", "pinion_ipfs", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, timeout=120, check=False)
        assert done.returncode == status, done.stderr.decode()
        return done
