"""What is asked of the fetcher, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..content.cid import Cid
from ..hub import selection
from ..hub.identity import Commit, RepoId
from ..net.addresses import AddressPolicy
from ..net.token_hosts import TokenHosts


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A model revision, and what is known of it. `token` '' means none; `endpoint` '' means the library's own hub."""

    repo: RepoId
    revision: str
    commit: Commit
    endpoint: str = ""
    token: str = ""
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    selection_rule: int = selection.CURRENT  # how files are chosen where no pattern says it
    source_digest: str = ""  # the listing must have this digest
    cid: Cid | None = None  # known from an earlier fetch: the bytes may come from backends, and must give it
    manifest_cid: Cid | None = None  # with it the origin is not asked for the listing either
    expected_cid: Cid | None = None  # the user's: serve this or nothing
    size_limit_bytes: int = 0  # of the store's volume; 0 = its free space alone counts
    owner: str = "local"
    token_hosts: TokenHosts | None = None  # who may have the token; None: the endpoint
    read_config: bool = False  # the listing also tells what the hub's config.json says of the weights
    policy: AddressPolicy | None = None  # where the endpoint may lead; None: it is one's own
    offline: bool = False  # the hub is not asked: what is in the store, or in backends by CID, or nothing
    fallback: bool = True  # False: when the CID is known and no backend delivers it, wait; the origin is not asked instead

    @property
    def known_cid(self) -> Cid | None:
        """Return the CID that the bytes must give, if there is one."""
        return self.expected_cid or self.cid


class OpenSnapshot(Protocol):
    """Files on disk that were hashed: what can be loaded, verified and pinned, wherever they came from."""

    @property
    def path(self) -> Path:
        """Return the folder to load from."""

    @property
    def cid(self) -> Cid:
        """Return the CID of the files."""

    @property
    def manifest_cid(self) -> Cid:
        """Return the CID of the manifest."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Return where each file lies, by path in the model."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model revision on disk: a folder of a genuine Hugging Face cache, and the exact files that its CID covers."""

    path: Path
    repo: RepoId
    commit: Commit
    cid: Cid
    manifest_cid: Cid
    size_bytes: int
    file_count: int
    files: Mapping[str, Path]  # blob by path in the snapshot
    request: FetchRequest
    unconfirmed: str = ""  # as the listing's


@dataclass(frozen=True, slots=True)
class BackendPin:
    """What one backend did: bytes sent (0 when it had everything), or why it has no pin."""

    backend: str
    pinned: bool
    imported_bytes: int = 0
    seconds: float = 0.0
    error: str = ""
    kind: str = ""  # the error's class name


@dataclass(frozen=True, slots=True)
class PinReceipt:
    """Where a snapshot is pinned; no pins when there are no backends that can."""

    cid: Cid
    manifest_cid: Cid
    pins: tuple[BackendPin, ...] = ()

    @property
    def pinned_in(self) -> tuple[str, ...]:
        """Return the names of the backends that confirmed the pin."""
        return tuple(pin.backend for pin in self.pins if pin.pinned)
