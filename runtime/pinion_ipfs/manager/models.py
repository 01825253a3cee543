"""What the model manager returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..backends.base import Receipt
from ..fetching.request import BackendPin


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that somebody keeps in the store. `backends` confirmed its pin; `whole`: its files are all here.

    `repo` and `commit` are those in the Hugging Face cache: of files of one's own `ipfs/<cid>`, which its libraries load
    offline.
    """

    cid: str
    manifest_cid: str
    repo: str
    commit: str
    path: Path  # the snapshot folder
    files: tuple[str, ...]
    size_bytes: int
    whole: bool
    backends: tuple[str, ...]
    owners: tuple[str, ...]
    name: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    pins: tuple[BackendPin, ...] = field(default=(), compare=False)  # of the call that stored it: also who failed, and why
    receipts: tuple[Receipt, ...] = field(default=(), compare=False)  # of that call


@dataclass(frozen=True, slots=True)
class RetrievedModel:
    """A model laid out in a folder; `served_by` names the store, backends, or the target, where it lay already."""

    cid: str
    path: Path
    files: tuple[str, ...]
    size_bytes: int
    served_by: str
    receipts: tuple[Receipt, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class RemovedModel:
    """A model that the manager keeps no more: `unpinned` gave their pins up, unless `kept_for` others who keep it here.

    Its bytes stay in the store, and in the backends, until these collect garbage.
    """

    cid: str
    name: str
    unpinned: tuple[str, ...]
    still_pinned: tuple[str, ...]  # backends that were not asked with success: only with force
    kept_for: tuple[str, ...]
    bytes_until_collection: int
    found_pinned: tuple[str, ...] = ()  # backends that had it pinned before it was stored: those pins stay

    def __str__(self) -> str:
        for_whom = f", kept for {', '.join(self.kept_for)}" if self.kept_for else ""
        return f"{self.cid}: removed{for_whom}; its {self.bytes_until_collection} bytes stay until garbage is collected"
