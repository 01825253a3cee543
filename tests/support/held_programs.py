"""Python programs that stop at a certain moment: whatever a test does to them then, it need not be fast."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.serve import wait_until

# Python runs this before anything else. Who reads a FIFO into which nobody writes stays there until a signal comes.
_LOOKING = """
import os, sys

def look(event, arguments):
    if {moment}:
        with open({fifo!r}, "rb") as held:
            held.read()

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        look("find", (name,))

sys.meta_path.insert(0, Finder)
sys.addaudithook(look)
"""

# The library that was loaded last, and the module that is about to be.
MOMENTS = {"nothing": ("", "pydantic_core"), "the contract": ("pydantic_core", "pydantic_core.core_schema")}


@dataclass
class Held:
    """Holds up the first program that is started with this environment."""

    fifo: Path
    environment: dict[str, str]
    _writers: list[int] = field(default_factory=list)

    def wait(self, what: str) -> None:
        """Wait until the program has come to the moment, where it stays."""
        wait_until(self._is_read, 60, what)

    def close(self) -> None:
        """Let it go on."""
        while self._writers:
            os.close(self._writers.pop())

    def _is_read(self) -> bool:
        try:
            self._writers.append(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says that nobody has opened it to read
                raise
            return False
        return True


def looks_for(module: str) -> str:
    """Return the moment at which a program is about to load a module."""
    return f'event == "find" and arguments[0] == {module!r}'


@contextmanager
def held_at(moment: str, folder: Path) -> Iterator[Held]:
    """Yield what holds a program up at a moment: an expression of Python with `event` and `arguments`, of audit hooks."""
    folder.mkdir()
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    (folder / "sitecustomize.py").write_text(_LOOKING.format(moment=moment, fifo=str(fifo)))
    held = Held(fifo, {"PYTHONPATH": str(folder)})
    try:
        yield held
    finally:
        held.close()
