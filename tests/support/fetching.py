"""A fetcher with its store, and everything it told."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinion_ipfs.backends.base import Backend, Receipt
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import ContentError
from pinion_ipfs.fetching.fetcher import Fetcher, FetchRequest, Progress, Snapshot
from pinion_ipfs.findings import Finding
from pinion_ipfs.hub.revisions import RepoId, list_files, resolve_commit
from pinion_ipfs.origin import OriginJob, OriginProcess
from pinion_ipfs.store import Store

from .hub import Hub


@dataclass
class Fetching:
    """One store, and a fetcher on it."""

    store: Store
    fetcher: Fetcher
    progress: list[Progress] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    async def run(self, request: FetchRequest) -> Snapshot:
        """Resolve, fetch and verify."""
        listing = await self.fetcher.resolve(request)
        return await self.fetcher.verify(await self.fetcher.fetch(request, listing))


def make_fetching(home: Path, backends: Sequence[Backend] = (), stall_seconds: float = 60.0) -> Fetching:
    """Make a fetcher over the store in `home`."""
    progress: list[Progress] = []
    receipts: list[Receipt] = []
    findings: list[Finding] = []
    store = Store(home)
    fetcher = Fetcher(
        store, backends, progress.append, receipts.append, stall_seconds=stall_seconds, on_finding=findings.append
    )
    return Fetching(store, fetcher, progress, receipts, findings)


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


@dataclass
class OriginRun:
    """What one run of the download child told, and left."""

    store: Store
    events: list[dict[str, Any]]
    error: ContentError | None

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]


async def run_origin(hub: Hub, repo: str, home: Path, *, stall_seconds: float = 30.0, **options: Any) -> OriginRun:
    """Run the download child on what is missing of a repository, with few and quick attempts."""
    parsed = RepoId.parse(repo)
    commit = await resolve_commit(parsed, "main", endpoint=hub.endpoint)
    listing = await list_files(parsed, commit, endpoint=hub.endpoint)
    store = Store(home)
    options = {"attempts": 2, "backoff_seconds": 0.05} | options
    absent = tuple(file for file in listing.files if store.record(parsed, file) is None)
    job = OriginJob(parsed, commit, hub.endpoint, "", store.hf_home, store.cache_dir, absent, **options)
    run = OriginRun(store, [], None)
    try:
        async for event in OriginProcess(job, stall_seconds=stall_seconds).events():
            run.events.append(event)
    except ContentError as error:
        run.error = error
    return run
