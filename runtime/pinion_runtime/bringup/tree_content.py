"""A model that is named by its CID alone, as bring-up uses it: backends and peers are asked, never a hub."""

from pinion_contract.config import IpfsSource, LiveConfig, RuntimeConfig
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.fetching.request import PinReceipt
from pinion_ipfs.fetching.tree import TreeFetcher
from pinion_ipfs.fetching.tree_request import TreeRequest, TreeSnapshot
from pinion_ipfs.hub.listing import Listing
from pinion_ipfs.store import Store

from ..pod.state import Pod
from ..settings import Settings
from .backends import make_backends, make_breakers
from .peering import Peering
from .telling import Telling


class TreeContent:
    """The bytes of a tree: the operations of its fetcher, and what the pod is told about each."""

    def __init__(self, config: RuntimeConfig, source: IpfsSource, settings: Settings, pod: Pod) -> None:
        self._config, self._source, self._pod = config, source, pod
        self._telling = telling = Telling(pod, [backend.name for backend in config.backends])
        store = Store(settings.cache_dir, settings.hub_cache)
        stall = float(source.stall_timeout_seconds)
        self._peering = Peering.of(config, settings, store, pod.found, stall_seconds=stall)
        self._fetcher = TreeFetcher(
            store,
            self._request(LiveConfig()),
            # Offline only what is in the store: nobody is asked for anything.
            [] if settings.offline else make_backends(config.backends, telling.wrong_block, config.namespace),
            on_progress=telling.progressed,
            on_operation=telling.operated,
            breakers=make_breakers(config.backends),
            sharing=self._peering.sharing if self._peering is not None else None,
            on_finding=pod.found,
        )
        pod.metrics.watch_circuits(self._fetcher.circuits)

    def start(self) -> None:
        """Open the content port, where there is one."""
        if self._peering is not None:
            self._peering.start()

    async def resolve(self, live: LiveConfig) -> Listing:
        """Return the files to have, from the nodes above them."""
        return await self._fetcher.resolve(self._request(live))

    async def fetch(self, live: LiveConfig, listing: Listing) -> TreeSnapshot:
        """Bring what is missing."""
        self._telling.begin()
        if self._peering is not None:
            await self._peering.ready()
        self._fetcher.expect(self._request(live))
        snapshot = await self._fetcher.fetch(listing)
        self._telling.fetched()
        return snapshot

    async def verify(self, snapshot: TreeSnapshot) -> TreeSnapshot:
        """Compare every leaf on disk with those of the CID."""
        return await self._fetcher.verify(snapshot)

    async def pin(self, snapshot: TreeSnapshot) -> PinReceipt:
        """Pin in every backend that can, and tell which did; raise PinFailed when none of them did."""
        return await self._telling.pinning(self._fetcher.pin(snapshot))

    async def misses_pins(self, snapshot: TreeSnapshot) -> bool:
        """Return whether a backend that answers has no pin of the snapshot; the pod says so from then on."""
        missing = await self._fetcher.missing_pins(snapshot)
        self._telling.pins_missing(snapshot, missing)
        return bool(missing)

    async def close(self) -> None:
        """Release connections, and end the content port."""
        await self._fetcher.close()
        if self._peering is not None:
            await self._peering.close()

    def _request(self, live: LiveConfig) -> TreeRequest:
        config, source = self._config, self._source
        return TreeRequest(
            root=Cid.parse(source.cid),
            path=source.path,
            allow_patterns=source.allow_patterns,
            ignore_patterns=source.ignore_patterns,
            expected_cid=Cid.parse(live.expected_cid) if live.expected_cid else None,
            known_cid=Cid.parse(live.cid) if live.cid else None,
            size_limit_bytes=config.cache_limit_bytes,
            owner=f"{live.owner or config.deployment}/{config.revision}",
        )
