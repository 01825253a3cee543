"""Which files of a snapshot this process opened, as the interpreter saw it; native libraries report theirs by hand."""

import os
import sys
from pathlib import Path


class OpenedFiles:
    """Watches every `open` of Python code from now on. One per process: an audit hook can't be taken out again."""

    def __init__(self, snapshot: Path) -> None:
        self._root = str(snapshot.absolute())
        self._seen: set[str] = set()
        self._names = {  # a snapshot of links may be opened by the names of its blobs
            os.path.realpath(path): str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file()
        }
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if event == "open" and isinstance(args[0], str | os.PathLike):
            self._seen.add(os.fspath(args[0]))

    def record(self, path: Path) -> None:
        """Note a file that a native library opens."""
        self._seen.add(str(path))

    def names(self) -> tuple[str, ...]:
        """Return the opened files of the snapshot, relative to it, sorted."""
        return tuple(sorted({self._names[real] for path in self._seen if (real := os.path.realpath(path)) in self._names}))
