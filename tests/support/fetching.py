"""A fetcher with its store, and everything it told."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pinion_ipfs.backends.base import Backend, Receipt
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.fetcher import Fetcher, FetchRequest, Progress, Snapshot
from pinion_ipfs.hub import RepoId, resolve_commit
from pinion_ipfs.store import Store

from .hub import Hub


@dataclass
class Fetching:
    """One store, and a fetcher on it."""

    store: Store
    fetcher: Fetcher
    progress: list[Progress] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    async def run(self, request: FetchRequest) -> Snapshot:
        """Resolve, fetch and verify."""
        listing = await self.fetcher.resolve(request)
        return await self.fetcher.verify(await self.fetcher.fetch(request, listing))


def make_fetching(home: Path, backends: Sequence[Backend] = (), stall_seconds: float = 60.0) -> Fetching:
    """Make a fetcher over the store in `home`."""
    progress: list[Progress] = []
    receipts: list[Receipt] = []
    store = Store(home)
    fetcher = Fetcher(store, backends, progress.append, receipts.append, stall_seconds=stall_seconds)
    return Fetching(store, fetcher, progress, receipts)


async def make_request(
    hub: Hub, repo: str, *, cid: Cid | None = None, manifest_cid: Cid | None = None, expected_cid: Cid | None = None
) -> FetchRequest:
    """Resolve `main` of a repository and return the request for it."""
    parsed = RepoId.parse(repo)
    commit = await resolve_commit(parsed, "main", endpoint=hub.endpoint)
    return FetchRequest(
        parsed, "main", commit, hub.endpoint, cid=cid, manifest_cid=manifest_cid, expected_cid=expected_cid, owner="test/1"
    )


def origin_children() -> list[int]:
    """Return the process ids of this process's running download children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == os.getpid() and b"pinion_ipfs.origin" in command:
                found.append(int(entry.name))
    return found
