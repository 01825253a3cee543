"""Pin records: who wants which snapshot kept, and which backends confirmed that they keep it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from ..content.cid import Cid
from ..errors import ContentError
from ..hub.identity import Commit, RepoId
from .files import read_record, write_atomically
from .ownership import is_believed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Note:
    """What an owner says of a model; `metadata` is what JSON can say."""

    name: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PinRecord:
    """One owner's pin of one snapshot; `backends` are the names of those that confirmed it."""

    owner: str
    cid: Cid
    manifest_cid: Cid
    repo: RepoId
    commit: Commit
    backends: tuple[str, ...] = ()
    note: Note = field(default_factory=Note)

    def encode(self) -> bytes:
        """Return the record as JSON."""
        value: dict[str, Any] = {
            "backends": list(self.backends),
            "cid": str(self.cid),
            "commit": str(self.commit),
            "manifestCid": str(self.manifest_cid),
            "owner": self.owner,
            "repo": str(self.repo),
        }
        if self.note != Note():
            value["note"] = {"metadata": self.note.metadata, "name": self.note.name, "tags": list(self.note.tags)}
        return json.dumps(value, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse a record; raise ValueError for a damaged one."""
        try:
            value: dict[str, Any] = json.loads(data)
            return cls(
                str(value["owner"]),
                Cid.parse(value["cid"]),
                Cid.parse(value["manifestCid"]),
                RepoId.parse(value["repo"]),
                Commit.parse(value["commit"]),
                tuple(map(str, value["backends"])),
                _note(value.get("note", {})),
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ContentError) as error:
            raise ValueError(f"not a pin record: {error}") from error


def _note(value: Mapping[str, Any]) -> Note:
    return Note(str(value.get("name", "")), tuple(map(str, value.get("tags", ()))), dict(value.get("metadata", {})))


class PinRecords:
    """The pin records of a store, one file for each owner."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, record: PinRecord) -> None:
        """Write or replace an owner's record."""
        write_atomically(self._path(record.owner), record.encode())

    def get(self, owner: str) -> PinRecord | None:
        """Return an owner's record; None when there is none, or what there is can't be read: the next pin writes it anew."""
        return _read(self._path(owner))

    def all(self) -> list[PinRecord]:
        """Return every record that can be read, by owner."""
        return [record for path in sorted(self._folder.glob("*.json")) if (record := _read(path))]

    def remove(self, owner: str) -> None:
        """Forget an owner's pin."""
        self._path(owner).unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        return self._folder / f"{quote_owner(owner)}.json"


def _read(path: Path) -> PinRecord | None:
    try:
        record = PinRecord.decode(read_record(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("%s: %s", path, error)
        return None
    if is_believed(path) and f"{quote_owner(record.owner)}.json" == path.name:
        return record
    _log.warning("%s: not believed: anybody can write there, or it is of another owner than its name says", path)
    return None


def quote_owner(owner: str) -> str:
    """Return an owner's name as one safe file name."""
    return quote(owner, safe="").replace(".", "%2E") or "%"
