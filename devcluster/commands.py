"""Short commands of the system, run to their end."""

import subprocess
from pathlib import Path

from .errors import DevClusterError


class CommandError(DevClusterError):
    """A command failed or did not end; the message holds its command line and what it said."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code  # the exit status; None when it did not come to one


class MissingProgramError(CommandError):
    """The program of a command is not installed."""


def run(*argv: str | Path, input: str | None = None, timeout: float = 60, folder: Path | None = None) -> str:
    """Run a command and return its standard output; raise CommandError when it fails, or does not end in time."""
    command = [str(word) for word in argv]
    line = " ".join(command)
    try:
        done = subprocess.run(command, input=input, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise MissingProgramError(f"`{line}` failed: {command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{line}` did not end within {timeout:g} s") from None
    except OSError as error:  # it is there, and cannot be executed
        raise CommandError(f"`{line}` failed: {command[0]}: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise CommandError(f"`{line}` failed ({done.returncode}): {said}", done.returncode)
    return done.stdout


def attempt(*argv: str | Path, input: str | None = None, timeout: float = 60) -> bool:
    """Run a command whose failure is an answer; tell whether it succeeded."""
    try:
        run(*argv, input=input, timeout=timeout)
    except CommandError:
        return False
    return True
