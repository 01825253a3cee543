"""The content part of runtime pods, without the rest: fetchers in this process, each with a real content process of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pinion_ipfs.backends.base import Backend, Receipt
from pinion_ipfs.fetching.fetcher import Fetcher, FetchRequest, Progress, Snapshot
from pinion_ipfs.findings import Finding
from pinion_ipfs.peers.offers import Peers, peers_at
from pinion_ipfs.peers.process import ContentPort, ContentProcess
from pinion_ipfs.peers.turns import Sharing
from pinion_ipfs.store import Store


@dataclass(eq=False)
class ContentPod:
    """One pod: its store, its fetcher, its content process, and everything they told."""

    store: Store
    fetcher: Fetcher
    process: ContentProcess
    keeping: asyncio.Task[None]
    progress: list[Progress] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address of the content port."""
        assert self.process.address is not None
        return "http://{}:{}".format(*self.process.address)

    @property
    def sources(self) -> set[str]:
        """Return the types of the sources that gave bytes."""
        return {source.type for source in self.progress[-1].sources}

    async def run(self, request: FetchRequest) -> Snapshot:
        """Resolve, fetch and verify."""
        listing = await self.fetcher.resolve(request)
        return await self.fetcher.verify(await self.fetcher.fetch(request, listing))

    async def close(self) -> None:
        """End it."""
        await self.fetcher.close()
        self.keeping.cancel()
        await asyncio.wait({self.keeping})


ASK_SECONDS = 20.0  # many pods share one loop here: one that is slow to answer has not gone


@dataclass
class Deployment:
    """The pods of one deployment; `urls` are what its name resolves to at this moment."""

    folder: Path
    urls: list[str] = field(default_factory=list)
    pods: list[ContentPod] = field(default_factory=list)
    stall_seconds: float = 60.0  # after which a peer that shows no progress is passed by
    hang_seconds: float = 30.0  # after which a content server that gives no sign of life is killed

    @property
    def token_file(self) -> Path:
        """Return the file with the token that all share."""
        path = self.folder / "peers-token"
        if not path.exists():
            path.write_text(secrets.token_hex(16) + "\n")
        return path

    async def start(self, count: int = 1, backends: Sequence[Backend] = ()) -> list[ContentPod]:
        """Start pods that listen; their addresses become known to all at once."""
        started = [self._make(backends) for _ in range(count)]
        for pod in started:
            assert await pod.process.listening()
        self.urls.extend(pod.url for pod in started)
        return started

    def _make(self, backends: Sequence[Backend]) -> ContentPod:
        number = len(self.pods)
        store = Store(self.folder / f"pod-{number}")
        store.prepare()
        instance = f"pod-{number}"
        findings: list[Finding] = []
        process = ContentProcess(
            ContentPort(store.hf_home, self.token_file, "127.0.0.1", 0, instance),
            lambda path, block: findings.append(Finding("Store", "store", path, block, "while it was served")),
            hang_seconds=self.hang_seconds,
        )
        peers = Peers(peers_at(self.urls), self.token_file, instance, ask_seconds=ASK_SECONDS, stall_seconds=self.stall_seconds)
        sharing = Sharing(peers, process, stall_seconds=self.stall_seconds)
        progress: list[Progress] = []
        receipts: list[Receipt] = []
        fetcher = Fetcher(
            store,
            backends,
            progress.append,
            receipts.append,
            sharing=sharing,
            on_finding=findings.append,
        )
        pod = ContentPod(store, fetcher, process, asyncio.create_task(process.run()), progress, receipts, findings)
        self.pods.append(pod)
        return pod


@asynccontextmanager
async def deployment(folder: Path, *, stall_seconds: float = 60.0, hang_seconds: float = 30.0) -> AsyncIterator[Deployment]:
    """Yield a deployment without pods; those that were started end with it."""
    running = Deployment(folder, stall_seconds=stall_seconds, hang_seconds=hang_seconds)
    try:
        yield running
    finally:
        for pod in running.pods:
            await pod.close()
