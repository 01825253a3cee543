"""A local folder as bring-up uses it: hashed where it lies, verified, pinned where there are backends. Nobody else is asked."""

from pathlib import Path

from pinion_contract.config import FolderSource, LiveConfig, RuntimeConfig
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.fetching.folder import FolderChoice, FolderFetcher, FolderSnapshot
from pinion_ipfs.fetching.request import PinReceipt
from pinion_ipfs.hub.listing import Listing

from ..pod.state import Pod
from ..settings import Settings
from .backends import make_backends, make_breakers
from .telling import Telling


class FolderContent:
    """The bytes of a model that lies in a folder; what was left out of it is not shown to the engine."""

    def __init__(self, config: RuntimeConfig, source: FolderSource, settings: Settings, pod: Pod) -> None:
        self._telling = telling = Telling(pod, [backend.name for backend in config.backends])
        self._fetcher = FolderFetcher(
            FolderChoice(Path(source.folder), source.allow_patterns, source.ignore_patterns),
            make_backends(config.backends, telling.wrong_block, config.namespace),
            on_progress=telling.progressed,
            on_operation=telling.operated,
            breakers=make_breakers(config.backends),
            records=settings.cache_dir / "pinion" / "folders",
        )
        pod.metrics.watch_circuits(self._fetcher.circuits)

    def start(self) -> None:
        """Do nothing: peers are given what is in the store, and this is not."""

    async def resolve(self, live: LiveConfig) -> Listing:
        """Return the files that are meant."""
        return await self._fetcher.resolve()

    async def fetch(self, live: LiveConfig, listing: Listing) -> FolderSnapshot:
        """Hash them; raise CidMismatch when they are not those that are expected."""
        self._telling.begin()
        snapshot = await self._fetcher.fetch(Cid.parse(live.expected_cid) if live.expected_cid else None)
        self._telling.fetched()
        return snapshot

    async def verify(self, snapshot: FolderSnapshot) -> FolderSnapshot:
        """Read every file again; raise DigestMismatch for one that has changed."""
        return await self._fetcher.verify(snapshot)

    async def pin(self, snapshot: FolderSnapshot) -> PinReceipt:
        """Pin in every backend that can, and tell which did; raise PinFailed when none of them did."""
        return await self._telling.pinning(self._fetcher.pin(snapshot))

    async def misses_pins(self, snapshot: FolderSnapshot) -> bool:
        """Return whether a backend that answers has no pin of the snapshot; the pod says so from then on."""
        missing = await self._fetcher.missing_pins(snapshot)
        self._telling.pins_missing(snapshot, missing)
        return bool(missing)

    async def close(self) -> None:
        """Release connections, and take the links to the files away."""
        await self._fetcher.close()
