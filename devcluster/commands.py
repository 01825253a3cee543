"""Short commands of the system, run to their end."""

import subprocess
from pathlib import Path

from .errors import DevClusterError


class CommandError(DevClusterError):
    """A command failed; the message holds its command line and what it said."""


def run(*argv: str | Path, input: str | None = None, timeout: float = 60) -> str:
    """Run a command and return its standard output; raise CommandError when it fails."""
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise CommandError(f"`{' '.join(command)}` failed: {command[0]} is not installed") from None
    if done.returncode:
        raise CommandError(f"`{' '.join(command)}` failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done.stdout


def attempt(*argv: str | Path, input: str | None = None, timeout: float = 60) -> bool:
    """Run a command whose failure is an answer; tell whether it succeeded."""
    try:
        run(*argv, input=input, timeout=timeout)
    except CommandError:
        return False
    return True
