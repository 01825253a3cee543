"""The content library as bring-up uses it: made from the configuration, its progress and receipts told to the pod."""

import logging

from pinion_contract.config import HuggingFaceSource, LiveConfig, RuntimeConfig
from pinion_contract.status import BackendUse, SourceBytes, SourceType, Transfer
from pinion_ipfs.addresses import NOT_LOCAL
from pinion_ipfs.backends.base import Receipt
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import BlockMismatch, PinFailed
from pinion_ipfs.fetcher import Fetcher, FetchRequest, PinReceipt, Progress, Snapshot
from pinion_ipfs.findings import Finding, findings_of
from pinion_ipfs.hub import default_endpoint
from pinion_ipfs.identity import Commit, RepoId
from pinion_ipfs.listing import Listing
from pinion_ipfs.sources import PEERS
from pinion_ipfs.store import Store
from pinion_ipfs.token_hosts import TokenHosts

from .backends import make_backends, make_breakers
from .peering import Peering
from .pod import Pod
from .settings import Settings
from .tokens import hub_token

_log = logging.getLogger(__name__)

_ORIGIN = "origin"  # how metrics name the hub, whatever its address


class Content:
    """One model's bytes: the four operations of the fetcher, and what the pod is told about each."""

    def __init__(self, config: RuntimeConfig, settings: Settings, pod: Pod) -> None:
        self._config = config
        self._hub_token = settings.hub_token
        self._pod = pod
        self._counted: dict[tuple[str, str], int] = {}
        self._backends = {backend.name for backend in config.backends}
        self._reasons: dict[str, str] = {}  # the last that each backend gave for not serving
        self._learned: Snapshot | None = None
        store = Store(settings.cache_dir)
        self._peering = Peering.of(config, settings, store, self.found)
        self._fetcher = Fetcher(
            store,
            make_backends(config.backends, self._wrong_block, config.namespace),
            on_progress=self._progressed,
            on_operation=self._operated,
            stall_seconds=float(config.source.stall_timeout_seconds),
            breakers=make_breakers(config.backends),
            sharing=self._peering.sharing if self._peering is not None else None,
            on_finding=self.found,
        )
        pod.metrics.watch_circuits(self._fetcher.circuits)

    def start(self) -> None:
        """Open the content port, where there is one."""
        if self._peering is not None:
            self._peering.start()

    async def resolve(self, live: LiveConfig) -> Listing:
        """Return the files to have."""
        return await self._fetcher.resolve(self._request(live))

    async def fetch(self, live: LiveConfig, listing: Listing) -> Snapshot:
        """Bring what is missing."""
        self._counted.clear()
        if self._peering is not None:
            await self._peering.ready()
        snapshot = await self._fetcher.fetch(self._request(live), listing)
        whole = all(source.type is SourceType.STORE for source in self._pod.transfer.sources)
        self._pod.metrics.opened(whole=whole)
        return snapshot

    async def verify(self, snapshot: Snapshot) -> Snapshot:
        """Recompute every hash from what is on disk; from now on its CID is known here, whatever live.json says."""
        self._learned = await self._fetcher.verify(snapshot)
        return self._learned

    async def pin(self, snapshot: Snapshot) -> PinReceipt:
        """Pin in every backend that can, and tell which did; raise PinFailed when none of them did."""
        try:
            receipt = await self._fetcher.pin(snapshot)
        except PinFailed as error:
            names = [backend.name for backend in self._config.backends]
            self._reasons = {name: reason for name, reason in self._reasons.items() if name in names}
            reasons = tuple(f"{name}: {reason}" for name, reason in self._reasons.items()) or (str(error),)
            self._pod.backend = BackendUse(preferred=names[0] if names else "", degraded=True, reasons=reasons)
            raise
        if receipt.pins:
            for pin in receipt.pins:
                if pin.pinned:
                    self._reasons.pop(pin.backend, None)  # what it failed at before has been made up for
            preferred, active = receipt.pins[0].backend, receipt.pinned_in[0]
            self._pod.backend = BackendUse(
                active=active,
                preferred=preferred,
                degraded=active != preferred,
                reasons=tuple(f"{name}: {reason}" for name, reason in self._reasons.items()),
                pinned_in=receipt.pinned_in,
            )
        return receipt

    async def misses_pins(self, snapshot: Snapshot) -> bool:
        """Return whether a backend that answers has no pin of the snapshot; the pod says so from then on."""
        missing = await self._fetcher.missing_pins(snapshot)
        use = self._pod.backend
        kept = tuple(name for name in use.pinned_in if name not in missing)
        if kept != use.pinned_in:
            _log.warning("no longer pinned in %s: %s", " and ".join(missing), snapshot.cid)
            self._pod.backend = use.model_copy(update={"pinned_in": kept})
        return bool(missing)

    async def close(self) -> None:
        """Release connections, and end the content port."""
        await self._fetcher.close()
        if self._peering is not None:
            await self._peering.close()

    def found(self, finding: Finding) -> None:
        """Take wrong bytes that were found, wherever that was."""
        self._pod.found(finding)

    def _wrong_block(self, error: BlockMismatch) -> None:
        for finding in findings_of(error, "Backend", error.source):
            self.found(finding)

    def _request(self, live: LiveConfig) -> FetchRequest:
        config, source = self._config, self._config.source
        token, hosts = hub_token(source.token_file, source.token_rule, config.namespace, self._hub_token)
        learned = self._learned
        if learned is not None and not live.cid:
            live = live.model_copy(update={"cid": str(learned.cid), "manifest_cid": str(learned.manifest_cid)})
        return make_request(config, live, token, hosts)

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
            if attempt.backend in self._backends:
                self._reasons[attempt.backend] = attempt.error
        if receipt.succeeded:
            metrics.operation(receipt.operation, self._label(receipt.backend), "ok", receipt.seconds)
        elif not receipt.attempts:
            metrics.operation(receipt.operation, self._label(receipt.preferred), "error", receipt.seconds)

    def _label(self, backend: str) -> str:
        return backend if backend in self._backends or backend == PEERS else _ORIGIN


def make_request(config: RuntimeConfig, live: LiveConfig, token: str, token_hosts: TokenHosts | None) -> FetchRequest:
    """Return what is to be fetched, as far as it is known at this moment; raise the ContentError of a malformed value."""
    source = config.source
    return FetchRequest(
        repo=RepoId.parse(source.repo),
        revision=source.revision,
        commit=Commit.parse(source.commit),
        endpoint=source.endpoint,
        token=token,
        token_hosts=token_hosts,
        allow_patterns=source.allow_patterns,
        ignore_patterns=source.ignore_patterns,
        source_digest=source.source_digest,
        cid=_cid(live.cid),
        manifest_cid=_cid(live.manifest_cid),
        expected_cid=_cid(live.expected_cid),
        size_limit_bytes=config.cache_limit_bytes,
        owner=f"{live.owner or config.deployment}/{config.revision}",
        policy=None if source.allow_local_addresses or _is_own(source) else NOT_LOCAL,
        fallback=config.fallback == "Automatic",
    )


def _is_own(source: HuggingFaceSource) -> bool:
    """Return whether the endpoint is that of the operator's settings, whoever wrote it down."""
    rule = source.token_rule
    return rule is not None and default_endpoint(source.endpoint) == default_endpoint(rule.default_endpoint)


def _cid(text: str) -> Cid | None:
    return Cid.parse(text) if text else None
