"""Where missing files come from: peers, then backends by CID, then the origin; one receipt for the whole fetch."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial

from ..backends.base import Attempt, Backend, Capability, Receipt
from ..content.cid import Cid
from ..errors import (
    BackendUnavailable,
    BlockMismatch,
    ContentError,
    ContentMissing,
    DigestMismatch,
    MalformedCar,
    SourceNotFound,
    TruncatedCar,
    UnsupportedDag,
)
from ..findings import Finding, findings_of
from ..hub.listing import HubFile, Listing
from ..hub.manifest import Manifest
from ..hub.revisions import default_endpoint
from ..origin import OriginJob, OriginProcess
from ..peers.files import PeerFiles
from ..peers.offers import Offer
from ..peers.turns import Sharing
from ..progress import ProgressMeter
from ..routing.router import Router
from ..store import Store
from .request import FetchRequest
from .unpack import Unpacker

PEERS = "peers"  # how receipts name them all: which one it was, the sources of the progress tell

# Whatever of these a backend causes, it is not asked again for this fetch; the next source may do better.
_GIVE_UP_ON_BACKEND = (BackendUnavailable, BlockMismatch, MalformedCar, DigestMismatch, UnsupportedDag)


class Sources:
    """Fills the store with the missing files of one listing."""

    def __init__(
        self,
        store: Store,
        router: Router,
        request: FetchRequest,
        listing: Listing,
        meter: ProgressMeter,
        on_operation: Callable[[Receipt], None],
        on_finding: Callable[[Finding], None],
        stall_seconds: float,
        sharing: Sharing | None,
    ) -> None:
        self._store = store
        self._router = router
        self._request = request
        self._listing = listing
        self._meter = meter
        self._on_operation = on_operation
        self._on_finding = on_finding
        self._stall_seconds = stall_seconds
        self._sharing = sharing
        self._attempts: list[Attempt] = []
        self._peer_files = PeerFiles(store, request.repo, listing, partial(meter.add, "Peer"), self._wrong_peer)

    async def bring(self, missing: list[HubFile]) -> None:
        """Bring the files; raise the origin's error when nobody has them."""
        started = time.monotonic()
        total = sum(file.size for file in missing)
        endpoint = default_endpoint(self._request.endpoint)
        root = self._request.known_cid
        backends = self._router.able(Capability.EXPORT) if root else []
        preferred = backends[0].name if backends else endpoint
        served_by, error = "", ""
        try:
            served_by = await self._bring(missing, backends, endpoint)
        except ContentError as caught:
            error = f"{type(caught).__name__}: {caught}"
            raise
        finally:
            left = await asyncio.to_thread(self._absent, missing)
            attempts = (*self._peer_files.attempts, *self._attempts)
            if served_by == PEERS:
                preferred = PEERS  # whoever is nearest is as good as the backend: that is no fallback
            seconds, count = time.monotonic() - started, total - sum(file.size for file in left)
            self._on_operation(Receipt("fetch", served_by, preferred, seconds, count, str(root or ""), attempts, error))

    async def _bring(self, missing: list[HubFile], backends: Sequence[Backend], endpoint: str) -> str:
        """Return who gave the last of the files."""
        sharing, root, digest = self._sharing, self._request.known_cid, self._listing.source_digest
        if sharing is not None and not (missing := await self._from_peers(await sharing.offers(digest, root), missing)):
            return PEERS
        for backend in backends:
            assert root is not None
            attempt = await self._try_backend(backend, root, missing)
            missing = await asyncio.to_thread(self._absent, missing)
            if not missing:
                return backend.name
            self._attempts.append(attempt or Attempt(backend.name, f"{root} lacks files of the listing", "DigestMismatch"))
        if not self._request.fallback and any(attempt.kind != ContentMissing.__name__ for attempt in self._attempts):
            told = "; ".join(f"{attempt.backend}: {attempt.error}" for attempt in self._attempts)
            raise BackendUnavailable(f"{root}: no backend delivers it, and without fallback the origin is not asked: {told}")
        if self._request.offline:
            paths = ", ".join(file.path for file in missing[:5])
            raise SourceNotFound(
                f"{self._request.repo}@{self._request.commit}: the hub is not asked for what is missing: {paths}"
            )
        if sharing is not None:
            while offers := await sharing.take_turn(digest, root, self._peer_files.banned):
                if not (missing := await self._from_peers(offers, missing)):
                    return PEERS
        await self._from_origin(endpoint, missing)
        return endpoint

    async def _from_peers(self, offers: Sequence[Offer], missing: list[HubFile]) -> list[HubFile]:
        """Take what peers give; return what is still missing."""
        if not offers:
            return missing
        await self._peer_files.bring(offers, missing)
        return await asyncio.to_thread(self._absent, missing)

    def _wrong_peer(self, error: ContentError, name: str) -> None:
        for finding in findings_of(error, "Peer", name):
            self._on_finding(finding)

    async def _try_backend(self, backend: Backend, root: Cid, missing: list[HubFile]) -> Attempt | None:
        """Take what a backend gives; return why it gave up, if it did."""
        if self._router.passes_over(backend):
            return Attempt(backend.name, "did not answer lately", "CircuitOpen")
        started = time.monotonic()
        on_bytes = partial(self._meter.add, "Backend", backend.name)
        unpacker = Unpacker(self._store, self._request.repo, backend, on_bytes)
        try:
            # Kubo answers an export of what it lacks with 200 and a CAR that ends after its header: ask first.
            if not await backend.has(root):
                raise ContentMissing(f"{backend.name} does not have {root}")
            await self._unpack(unpacker, root, missing)
        except _GIVE_UP_ON_BACKEND as error:
            self._router.note(backend, error)
            for finding in findings_of(await self._explain(backend, root, error), "Backend", backend.name):
                self._on_finding(finding)
            return Attempt(backend.name, str(error), type(error).__name__, time.monotonic() - started)
        self._router.note(backend, None)
        return None

    async def _explain(self, backend: Backend, root: Cid, error: ContentError) -> ContentError:
        """Return what is behind an export that failed or just ended.

        A daemon that meets a wrong block on its disk ends the stream there, and says why only when it is asked for that block.
        """
        place = error if isinstance(error, TruncatedCar) else None
        suspect = place.cid if place is not None else root
        if not isinstance(error, TruncatedCar | BackendUnavailable) or not isinstance(suspect, Cid):
            return error
        for other in self._router.able(Capability.READ):
            if other.name == backend.name:
                try:
                    await other.block_get(suspect)
                except BlockMismatch as wrong:
                    if place is not None:
                        wrong.path, wrong.block = place.path, place.block
                    return wrong
                except ContentError:
                    pass  # this one does not know better
        return error

    async def _unpack(self, unpacker: Unpacker, root: Cid, missing: list[HubFile]) -> None:
        """Stream the whole tree when nothing of it is here, else each missing file by the CID that the manifest gives."""
        absent = {file.etag for file in missing}
        manifest = await asyncio.to_thread(self._manifest)
        if manifest is None or manifest.root != root or absent == {file.etag for file in self._listing.files}:
            await unpacker.fetch(root, {file.path: file for file in self._listing.files}, self._listing.total_bytes)
            return
        for entry in manifest.files:
            if entry.hub.etag in absent:
                absent.discard(entry.hub.etag)
                await unpacker.fetch(entry.cid, {"": entry.hub}, entry.hub.size)

    async def _from_origin(self, endpoint: str, missing: list[HubFile]) -> None:
        request = self._request
        if request.token and request.token_hosts is not None:
            request.token_hosts.check(endpoint)
        job = OriginJob(
            request.repo,
            request.commit,
            endpoint,
            request.token,
            self._store.hf_home,
            self._store.cache_dir,
            tuple(missing),
            token_origins=tuple(sorted(request.token_hosts.origins)) if request.token_hosts is not None else (),
            policy=request.policy,
        )
        total = sum(file.size for file in missing)
        finished = received = 0
        # aclosing: when this task is cancelled, the child is killed now and not when the generator is collected.
        async with aclosing(OriginProcess(job, stall_seconds=self._stall_seconds).events()) as events:
            async for event in events:
                if event["event"] == "wrong":
                    self._on_finding(Finding("Origin", endpoint, event["path"], event["block"], event["message"]))
                    continue
                if event["event"] == "file":
                    finished += int(event["size"])
                received = max(received, finished, int(event.get("received", 0)))
                self._meter.set("Origin", endpoint, min(total, received))
                if self._sharing is not None:
                    self._sharing.progressed(received)
        if left := await asyncio.to_thread(self._absent, missing):
            paths = ", ".join(file.path for file in left[:5])
            raise DigestMismatch(f"{request.repo}@{request.commit}: the download ended without {paths}")

    def _absent(self, files: list[HubFile]) -> list[HubFile]:
        return [file for file in files if self._store.adopt(self._request.repo, file) is None]

    def _manifest(self) -> Manifest | None:
        cid = self._request.manifest_cid
        return self._store.get_manifest(cid) if cid else None
