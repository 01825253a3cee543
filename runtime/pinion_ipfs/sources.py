"""Where missing files come from: backends by CID, one after the other, then the origin; one receipt for the whole fetch."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from .backends.base import Attempt, Backend, Capability, Receipt
from .content.cid import Cid
from .errors import (
    BackendUnavailable,
    BlockMismatch,
    ContentError,
    ContentMissing,
    DigestMismatch,
    MalformedCar,
    UnsupportedDag,
)
from .hub import default_endpoint
from .listing import HubFile, Listing
from .manifest import Manifest
from .origin import OriginJob, OriginProcess
from .progress import ProgressMeter
from .request import FetchRequest
from .router import Router
from .store import Store
from .unpack import Unpacker

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
        stall_seconds: float,
    ) -> None:
        self._store = store
        self._router = router
        self._request = request
        self._listing = listing
        self._meter = meter
        self._on_operation = on_operation
        self._stall_seconds = stall_seconds

    async def bring(self, missing: list[HubFile]) -> None:
        """Bring the files; raise the origin's error when nobody has them."""
        started = time.monotonic()
        total = sum(file.size for file in missing)
        endpoint = default_endpoint(self._request.endpoint)
        root = self._request.known_cid
        backends = self._router.able(Capability.EXPORT) if root else []
        preferred = backends[0].name if backends else endpoint
        attempts: list[Attempt] = []
        served_by, error = "", ""
        try:
            for backend in backends:
                assert root is not None
                attempt = await self._try_backend(backend, root, missing)
                missing = await asyncio.to_thread(self._absent, missing)
                if not missing:
                    served_by = backend.name
                    return
                attempts.append(attempt or Attempt(backend.name, f"{root} lacks files of the listing", "DigestMismatch"))
            await self._from_origin(endpoint, missing)
            served_by = endpoint
        except ContentError as caught:
            error = f"{type(caught).__name__}: {caught}"
            raise
        finally:
            seconds = time.monotonic() - started
            count = total if served_by else total - sum(file.size for file in missing)
            self._on_operation(Receipt("fetch", served_by, preferred, seconds, count, str(root or ""), tuple(attempts), error))

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
            return Attempt(backend.name, str(error), type(error).__name__, time.monotonic() - started)
        self._router.note(backend, None)
        return None

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
        job = OriginJob(
            request.repo,
            request.commit,
            endpoint,
            request.token,
            self._store.hf_home,
            self._store.cache_dir,
            tuple(missing),
        )
        total = sum(file.size for file in missing)
        finished = received = 0
        # aclosing: when this task is cancelled, the child is killed now and not when the generator is collected.
        async with aclosing(OriginProcess(job, stall_seconds=self._stall_seconds).events()) as events:
            async for event in events:
                if event["event"] == "file":
                    finished += int(event["size"])
                received = max(received, finished, int(event.get("received", 0)))
                self._meter.set("Origin", endpoint, min(total, received))
        if left := await asyncio.to_thread(self._absent, missing):
            paths = ", ".join(file.path for file in left[:5])
            raise DigestMismatch(f"{request.repo}@{request.commit}: the download ended without {paths}")

    def _absent(self, files: list[HubFile]) -> list[HubFile]:
        return [file for file in files if self._store.record(self._request.repo, file) is None]

    def _manifest(self) -> Manifest | None:
        cid = self._request.manifest_cid
        return self._store.get_manifest(cid) if cid else None
