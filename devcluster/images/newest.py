"""Which tags of each image were wanted last: older ones may go, and a tag by content never comes back by itself."""

import json
from collections.abc import Iterable
from pathlib import Path

from .tags import REGISTRY

KEPT = 2  # the newest, and the one before it: a suspended model still names that one


class NewestImages:
    """A small file: image name to its newest references, the newest first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, reference: str) -> None:
        """Note the newest reference of its image."""
        known = self._read()
        former = [other for other in known.get(_name(reference), ()) if other != reference]
        known[_name(reference)] = [reference, *former][:KEPT]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(known, indent=1))
        partial.replace(self._path)

    def outdated(self, references: Iterable[str]) -> list[str]:
        """Return those of our images that newer ones have replaced; images of others are never among them."""
        known = self._read()
        ours = (reference for reference in references if reference.startswith(f"{REGISTRY}/"))
        return [reference for reference in ours if reference not in known.get(_name(reference), [reference])]

    def _read(self) -> dict[str, list[str]]:
        content: dict[str, list[str]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return content


def _name(reference: str) -> str:
    return reference.rpartition(":")[0]
