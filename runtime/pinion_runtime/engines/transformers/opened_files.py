"""Which files of a snapshot this process opened, as the interpreter saw it; native libraries report theirs by hand."""

import os
import sys
from pathlib import Path


class OpenedFiles:
    """Watches every `open` of Python code from now on. One per process: an audit hook can't be taken out again."""

    def __init__(self, snapshot: Path) -> None:
        self._root = os.path.normpath(snapshot.absolute())
        self._seen: set[str] = set()
        self._names: dict[str, str] = {}  # a snapshot of links may be opened by the names of its blobs
        for path in sorted(snapshot.rglob("*"), reverse=True):
            if path.is_file():
                self._names[os.path.realpath(path)] = str(path.relative_to(snapshot))
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if event == "open" and isinstance(args[0], str | os.PathLike):
            self._seen.add(os.fspath(args[0]))

    def record(self, path: Path) -> None:
        """Note a file that a native library opens."""
        self._seen.add(str(path))

    def names(self) -> tuple[str, ...]:
        """Return the opened files of the snapshot, relative to it, sorted.

        Each by the name by which it was opened; one that was opened by its blob's, by one of those that lead to that.
        """
        return tuple(sorted({name for path in self._seen if (name := self._name(path))}))

    def _name(self, path: str) -> str:
        real = os.path.realpath(path)
        if real not in self._names:
            return ""
        absolute = os.path.normpath(Path(path).absolute())
        inside = absolute.startswith(self._root + os.sep)
        return absolute[len(self._root) + 1 :] if inside else self._names[real]
