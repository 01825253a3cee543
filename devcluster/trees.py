"""The trees that share one cache folder: each notes what it wants, so that what none of them wants any more can go."""

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .locks import locked
from .paths import REPOSITORY, cache_dir

KEPT = 2  # of one name: the newest, and the one before it, which a suspended model or the former commit still names


class Trees:
    """A small file for each tree: what it wanted last, and when."""

    def __init__(self, folder: Path | None = None, tree: Path = REPOSITORY) -> None:
        self._folder = folder or cache_dir() / "trees"
        self._tree = tree
        self._path = self._folder / f"{hashlib.sha256(str(tree).encode()).hexdigest()[:16]}.json"

    def note(self, kind: str, wanted: Iterable[tuple[str, str]]) -> None:
        """Note what this tree wants now of a kind of things: pairs of a name, and of the version or tag that it has now."""
        with locked(self._path.with_suffix(".lock")):
            known = _read(self._path)
            things = known.setdefault(kind, {})
            for name, thing in wanted:
                former = [entry for entry in things.get(name, ()) if entry[0] != thing]
                things[name] = [[thing, time.time()], *former][:KEPT]
            unfinished = self._path.with_suffix(".unfinished")
            unfinished.write_text(json.dumps({**known, "tree": str(self._tree)}, indent=1))
            unfinished.replace(self._path)

    def wanted(self, kind: str) -> dict[str, float]:
        """Return what trees want that are still there, with the last time when one of them said so."""
        found: dict[str, float] = {}
        for path in sorted(self._folder.glob("*.json")):
            for entries in _read(path).get(kind, {}).values() if _is_there(path) else ():
                for thing, when in entries:
                    found[thing] = max(when, found.get(thing, 0.0))
        return found

    def newest(self, kind: str) -> set[str]:
        """Return what this tree wants now."""
        return {entries[0][0] for entries in _read(self._path).get(kind, {}).values() if entries}

    def forget_lost(self) -> None:
        """Delete the notes of trees that are gone."""
        for path in self._folder.glob("*.json"):
            if not _is_there(path):
                path.unlink(missing_ok=True)


def _is_there(path: Path) -> bool:
    return Path(_read(path).get("tree", "/nowhere"), "devcluster").is_dir()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # nobody has noted anything, or its disk was full
        return {}
    return content if isinstance(content, dict) else {}
