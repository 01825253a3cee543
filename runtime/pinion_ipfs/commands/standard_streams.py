"""Standard input, output and error as whoever started us left them: closed, full, of another encoding, with nobody behind."""

import io
import os
import sys


def make_ready() -> None:
    """Occupy what was closed, or the next file that is opened would be our output; to use it is the system's error."""
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - it lives as long as we do
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - as stdin
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - as stdin
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unbuffered_input() -> io.FileIO:
    """Return standard input."""
    return io.FileIO(0, closefd=False)


def write(data: bytes) -> None:
    """Write all of it to standard output. Whoever waits in a thread meanwhile holds no lock that our end would need."""
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


def forget_output() -> None:
    """Let go of what could not be written: Python would try again, and complain, at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
