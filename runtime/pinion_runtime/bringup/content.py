"""The content library as bring-up uses it: made from the configuration, its progress and receipts told to the pod."""

import asyncio
from dataclasses import replace
from typing import Protocol, TypeVar

from pinion_contract.config import HuggingFaceSource, LiveConfig, RuntimeConfig
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import SourceNotFound
from pinion_ipfs.fetching.fetcher import Fetcher, FetchRequest, PinReceipt, Snapshot
from pinion_ipfs.fetching.request import OpenSnapshot
from pinion_ipfs.findings import Finding
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import Listing
from pinion_ipfs.hub.revisions import default_endpoint
from pinion_ipfs.manager.catalogue import find_known
from pinion_ipfs.net.addresses import NOT_LOCAL
from pinion_ipfs.net.token_hosts import TokenHosts
from pinion_ipfs.store import Store

from ..pod.state import Pod
from ..settings import Settings
from .backends import make_backends, make_breakers
from .peering import Peering
from .silent_hub import SILENT, explained, tell_served
from .telling import Telling
from .tokens import hub_token

_S = TypeVar("_S", bound=OpenSnapshot)


class ModelContent(Protocol[_S]):
    """One model's bytes, wherever they come from: the operations that bring-up goes through, in this order."""

    def start(self) -> None:
        """Open the content port, where there is one."""

    async def resolve(self, live: LiveConfig) -> Listing:
        """Return the files to have."""

    async def fetch(self, live: LiveConfig, listing: Listing) -> _S:
        """Bring what is missing."""

    async def verify(self, snapshot: _S) -> _S:
        """Recompute every hash from what is on disk."""

    async def pin(self, snapshot: _S) -> PinReceipt:
        """Pin in every backend that can, and tell which did; raise PinFailed when none of them did."""

    async def misses_pins(self, snapshot: _S) -> bool:
        """Return whether a backend that answers has no pin of the snapshot; the pod says so from then on."""

    async def close(self) -> None:
        """Release connections, and end the content port."""


class Content:
    """One model of the hub: the four operations of the fetcher, and what the pod is told about each."""

    def __init__(self, config: RuntimeConfig, source: HuggingFaceSource, settings: Settings, pod: Pod) -> None:
        self._config, self._source = config, source
        self._hub_token, self._offline = settings.hub_token, settings.offline
        self._pod = pod
        self._learned: Snapshot | None = None
        self._model_cache = settings.model_cache
        self._telling = telling = Telling(pod, [backend.name for backend in config.backends])
        self._store = store = Store(settings.cache_dir, settings.hub_cache)
        stall = float(source.stall_timeout_seconds)
        self._peering = Peering.of(config, settings, store, self.found, stall_seconds=stall)
        self._fetcher = Fetcher(
            store,
            make_backends(config.backends, telling.wrong_block, config.namespace),
            on_progress=telling.progressed,
            on_operation=telling.operated,
            stall_seconds=stall,
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
        """Return the files to have; while the hub is silent those that are whole in the cache, if they are."""
        request = self._request(live)
        try:
            return await self._fetcher.resolve(request)
        except SILENT as silent:
            try:
                listing = await self._fetcher.resolve(replace(request, offline=True))
            except SourceNotFound as error:
                raise explained(silent, error) from error
            tell_served(silent)
            return listing

    async def fetch(self, live: LiveConfig, listing: Listing) -> Snapshot:
        """Bring what is missing."""
        self._telling.begin()
        if self._peering is not None:
            await self._peering.ready()
        request = self._request(live)
        if self._model_cache and request.cid is None:
            request = await asyncio.to_thread(self._known, request, listing)
        snapshot = await self._fetcher.fetch(request, listing)
        self._telling.fetched()
        return snapshot

    async def verify(self, snapshot: Snapshot) -> Snapshot:
        """Recompute every hash from what is on disk; from now on its CID is known here, whatever live.json says."""
        self._learned = await self._fetcher.verify(snapshot)
        return self._learned

    async def pin(self, snapshot: Snapshot) -> PinReceipt:
        """Pin in every backend that can, and tell which did; raise PinFailed when none of them did."""
        return await self._telling.pinning(self._fetcher.pin(snapshot))

    async def misses_pins(self, snapshot: Snapshot) -> bool:
        """Return whether a backend that answers has no pin of the snapshot; the pod says so from then on."""
        missing = await self._fetcher.missing_pins(snapshot)
        self._telling.pins_missing(snapshot, missing)
        return bool(missing)

    async def close(self) -> None:
        """Release connections, and end the content port."""
        await self._fetcher.close()
        if self._peering is not None:
            await self._peering.close()

    def found(self, finding: Finding) -> None:
        """Take wrong bytes that were found, wherever that was."""
        self._pod.found(finding)

    def _known(self, request: FetchRequest, listing: Listing) -> FetchRequest:
        """Name the CID that the store's records have for these files, so that backends are asked for them before the hub."""
        manifest = find_known(self._store, request.repo, listing.source_digest)
        if manifest is None:
            return request
        return replace(request, cid=manifest.root, manifest_cid=manifest.cid if manifest.commit == request.commit else None)

    def _request(self, live: LiveConfig) -> FetchRequest:
        config, source = self._config, self._source
        token, hosts = hub_token(source.token_file, source.token_rule, config.namespace, self._hub_token)
        learned = self._learned
        if learned is not None and not live.cid:
            live = live.model_copy(update={"cid": str(learned.cid), "manifest_cid": str(learned.manifest_cid)})
        return replace(make_request(config, source, live, token, hosts), offline=self._offline)


def make_request(
    config: RuntimeConfig, source: HuggingFaceSource, live: LiveConfig, token: str, token_hosts: TokenHosts | None
) -> FetchRequest:
    """Return what is to be fetched, as far as it is known at this moment; raise the ContentError of a malformed value."""
    return FetchRequest(
        repo=RepoId.parse(source.repo),
        revision=source.revision,
        commit=Commit.parse(source.commit),
        endpoint=source.endpoint,
        token=token,
        token_hosts=token_hosts,
        allow_patterns=source.allow_patterns,
        ignore_patterns=source.ignore_patterns,
        selection_rule=source.selection_rule,
        source_digest=source.source_digest,
        read_config=not source.source_digest,  # an operator, who gives the digest, has looked
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
