"""The content library as bring-up uses it: made from the configuration, its progress and receipts told to the pod."""

from pathlib import Path

from pinion_contract.config import KuboBackend, LiveConfig, RuntimeConfig
from pinion_contract.status import BackendUse, SourceBytes, SourceType, Transfer
from pinion_ipfs.backends.base import Backend, Receipt
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.fetcher import Fetcher, FetchRequest, PinReceipt, Progress, Snapshot
from pinion_ipfs.identity import Commit, RepoId
from pinion_ipfs.listing import Listing
from pinion_ipfs.store import Store

from .live import InvalidConfig
from .pod import Pod

_ORIGIN = "origin"  # how metrics name the hub, whatever its address
_STORE = "store"


class Content:
    """One model's bytes: the four operations of the fetcher, and what the pod is told about each."""

    def __init__(self, config: RuntimeConfig, cache_dir: Path, hub_token: str, pod: Pod) -> None:
        self._config = config
        self._hub_token = hub_token
        self._pod = pod
        self._counted: dict[tuple[str, str], int] = {}
        self._backends = {backend.name for backend in config.backends}
        self._reasons: list[str] = []
        made = [backend for each in config.backends for backend in _make_backends(each)]
        self._fetcher = Fetcher(Store(cache_dir), made, on_progress=self._progressed, on_operation=self._operated)

    async def resolve(self, live: LiveConfig) -> Listing:
        """Return the files to have."""
        return await self._fetcher.resolve(make_request(self._config, live, self._hub_token))

    async def fetch(self, live: LiveConfig, listing: Listing) -> Snapshot:
        """Bring what is missing."""
        self._counted.clear()
        snapshot = await self._fetcher.fetch(make_request(self._config, live, self._hub_token), listing)
        metrics = self._pod.metrics
        whole = all(source.type is SourceType.STORE for source in self._pod.transfer.sources)
        (metrics.cache_hits if whole else metrics.cache_misses).labels(_STORE).inc()
        return snapshot

    async def verify(self, snapshot: Snapshot) -> Snapshot:
        """Recompute every hash from what is on disk."""
        return await self._fetcher.verify(snapshot)

    async def pin(self, snapshot: Snapshot) -> PinReceipt:
        """Pin in every backend that can, and tell which did."""
        receipt = await self._fetcher.pin(snapshot)
        if receipt.pins:
            reasons = [*self._reasons, *(f"{pin.backend}: {pin.error}" for pin in receipt.pins if not pin.pinned)]
            preferred = receipt.pins[0].backend
            active = receipt.pinned_in[0]
            self._pod.backend = BackendUse(
                active=active,
                preferred=preferred,
                degraded=active != preferred,
                reasons=tuple(reasons),
                pinned_in=receipt.pinned_in,
            )
        return receipt

    async def close(self) -> None:
        """Release connections."""
        await self._fetcher.close()

    def _progressed(self, progress: Progress) -> None:
        sources = tuple(SourceBytes(type=SourceType(s.type), name=s.name, bytes=s.bytes) for s in progress.sources)
        self._pod.transfer = Transfer(
            total_bytes=progress.total_bytes,
            completed_bytes=progress.completed_bytes,
            bytes_per_second=progress.bytes_per_second,
            eta_seconds=progress.eta_seconds,
            sources=sources,
        )
        for source in sources:
            key = source.type.value, source.name
            # What was thrown away and comes again was transferred all the same, but the meter has forgotten it.
            more = source.bytes - self._counted.get(key, 0)
            if more > 0:
                self._pod.metrics.transfer_bytes.labels(source.type.value).inc(more)
            self._counted[key] = source.bytes

    def _operated(self, receipt: Receipt) -> None:
        metrics = self._pod.metrics
        for attempt in receipt.attempts:
            metrics.operation(receipt.operation, self._label(attempt.backend), "error", attempt.seconds)
            if attempt.backend in self._backends and receipt.operation != "pin":
                self._reasons.append(f"{attempt.backend}: {attempt.error}")
        if receipt.succeeded:
            metrics.operation(receipt.operation, self._label(receipt.backend), "ok", receipt.seconds)
        elif not receipt.attempts:
            metrics.operation(receipt.operation, self._label(receipt.preferred), "error", receipt.seconds)

    def _label(self, backend: str) -> str:
        return backend if backend in self._backends else _ORIGIN


def make_request(config: RuntimeConfig, live: LiveConfig, hub_token: str) -> FetchRequest:
    """Return what is to be fetched, as far as it is known at this moment; raise the ContentError of a malformed value."""
    source = config.source
    return FetchRequest(
        repo=RepoId.parse(source.repo),
        revision=source.revision,
        commit=Commit.parse(source.commit),
        endpoint=source.endpoint,
        token=hub_token,
        allow_patterns=source.allow_patterns,
        ignore_patterns=source.ignore_patterns,
        source_digest=source.source_digest,
        cid=_cid(live.cid),
        manifest_cid=_cid(live.manifest_cid),
        expected_cid=_cid(config.expected_cid),
        size_limit_bytes=config.cache_limit_bytes,
        owner=f"{config.deployment_uid}/{config.revision}",
    )


def _make_backends(backend: KuboBackend) -> list[Backend]:
    token = ""
    if backend.token_file:
        try:
            token = Path(backend.token_file).read_text().strip()
        except OSError as error:
            raise InvalidConfig(f"backend {backend.name}: {backend.token_file}: {error.strerror}") from None
    return [KuboRpc(backend.name, backend.rpc_url, token=token), Gateway(backend.name, backend.gateway_url)]


def _cid(text: str) -> Cid | None:
    return Cid.parse(text) if text else None
