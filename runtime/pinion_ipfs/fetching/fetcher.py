"""The fetcher: fills the store with one model revision from the best source at hand, proves the bytes, pins them."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from ..backends.base import Backend, Receipt
from ..backends.breaker import BreakerSettings, CircuitState
from ..content.cid import Cid
from ..content.unixfs import FileLayout, TreeLayout, layout_tree
from ..errors import (
    BackendUnavailable,
    CidMismatch,
    ContentError,
    DigestMismatch,
    InsufficientStorage,
    StoreCorrupted,
    StoreInaccessible,
)
from ..findings import Finding, findings_of
from ..hub.identity import RepoId
from ..hub.listing import HubFile, Listing
from ..hub.manifest import Manifest, ManifestFile, read_manifest
from ..hub.revisions import DEFAULT_TIMEOUT, list_files
from ..peers.turns import Sharing
from ..progress import Progress, ProgressMeter, SourceBytes
from ..routing.router import Router
from ..store import BlobRecord, Store
from ..store.offline import list_whole
from ..threads import finish_in_thread
from .pinning import bring_car, confirm, keep_record, missing_pins, pin_everywhere
from .request import BackendPin, FetchRequest, PinReceipt, Snapshot
from .sources import Sources

__all__ = ["BackendPin", "FetchRequest", "Fetcher", "PinReceipt", "Progress", "Snapshot", "SourceBytes"]

# A sidecar, a link and their folder entries for each file, and 32 digest bytes for each MiB.
_OVERHEAD_PER_FILE = 16 * 1024
STALL_SECONDS = 120.0  # without a byte, from whomever


class Fetcher:
    """Store, then peers, then backends by CID, then origin. `on_progress` and `on_finding` may be called from a worker thread.

    `sharing`: what is verified here is offered to peers, and they are asked before anybody else.
    """

    def __init__(
        self,
        store: Store,
        backends: Sequence[Backend] = (),
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_operation: Callable[[Receipt], None] = lambda receipt: None,
        *,
        stall_seconds: float = STALL_SECONDS,
        hub_timeout: float = DEFAULT_TIMEOUT,
        breakers: Mapping[str, BreakerSettings] | None = None,
        sharing: Sharing | None = None,
        on_finding: Callable[[Finding], None] = lambda finding: None,
    ) -> None:
        self._store = store
        self._router = Router(backends, on_operation, breakers=breakers)
        self._sharing = sharing
        self._on_finding = on_finding
        self._on_progress = on_progress
        self._on_operation = on_operation
        self._stall_seconds = stall_seconds
        self._hub_timeout = hub_timeout
        self._uses: dict[
            str, ExitStack
        ] = {}  # of repositories, from their fetch to the end: no collection takes what is used here
        self._manifests_missed: set[Cid] = set()  # asked for in vain: by `resolve`, mostly, just before `fetch`

    async def resolve(self, request: FetchRequest) -> Listing:
        """Return the files to have: from the manifest when its CID is known and somebody has it, else from the hub.

        Offline it is what the store itself knows of the commit; SourceNotFound when that is not whole.

        Raises DigestMismatch for another listing than was asked for, InsufficientStorage before any byte is fetched, and
        what the hub module raises.
        """
        manifest = await self._manifest(request)
        if manifest:
            listing = manifest.listing
        elif request.offline:
            listing = await asyncio.to_thread(
                list_whole,
                self._store,
                request.repo,
                request.commit,
                allow_patterns=request.allow_patterns,
                ignore_patterns=request.ignore_patterns,
                selection_rule=request.selection_rule,
                source_digest=request.source_digest,
            )
        else:
            listing = await list_files(
                request.repo,
                request.commit,
                endpoint=request.endpoint,
                token=request.token,
                token_hosts=request.token_hosts,
                allow_patterns=request.allow_patterns,
                ignore_patterns=request.ignore_patterns,
                selection_rule=request.selection_rule,
                read_config=request.read_config,
                timeout=self._hub_timeout,
                policy=request.policy,
            )
        if request.source_digest and listing.source_digest != request.source_digest:
            raise DigestMismatch(
                f"{request.repo}@{request.commit}: the listing has digest {listing.source_digest}, "
                f"the revision was made for {request.source_digest}"
            )
        await asyncio.to_thread(self._check_space, request, listing)
        return listing

    async def fetch(self, request: FetchRequest, listing: Listing) -> Snapshot:
        """Bring the missing files and lay the snapshot out; whole verified files of an earlier try are not fetched again.

        Raises the error of the last source that was tried; `verify` tells whether the CID is the known one.
        """
        await self._use(request.repo)
        files = {file.etag: file for file in listing.files}
        meter = ProgressMeter(sum(file.size for file in files.values()), self._on_progress)
        missing: list[HubFile] = []
        wrong: list[DigestMismatch] = []
        # Without a file that was taken out, what is left might pass for whole the next time: nobody has said that it is not.
        keep = request.offline and bool(listing.unconfirmed)
        for file in files.values():
            if await asyncio.to_thread(self._store.adopt, request.repo, file, on_wrong=wrong.append, keep=keep):
                meter.add("Store", "store", file.size)
            else:
                missing.append(file)
        meter.publish()
        if missing and request.offline and wrong:
            raise self._wrong_offline(request, wrong)
        if missing and not self._store.writable:  # before a byte is fetched, and not told as the hub's failure
            user, shown = os.geteuid(), ", ".join(file.path for file in missing[:3]) + (" and others" if missing[3:] else "")
            where = f"{self._store.hf_home} can't be written by user {user}"
            raise StoreInaccessible(f"{request.repo}@{request.commit}: {where}, and lacks {shown}")
        if missing:
            if request.manifest_cid not in self._manifests_missed:
                await self._manifest(request)  # with it single files can be asked for by CID
            sources = Sources(
                self._store,
                self._router,
                request,
                listing,
                meter,
                self._on_operation,
                self._on_finding,
                self._stall_seconds,
                self._sharing,
            )
            try:
                with self._store.staging_session():
                    await sources.bring(missing)
            except BaseException:
                await self._withdraw()
                raise
        snapshot = await finish_in_thread(self._lay_out, request, listing)
        meter.publish()
        return snapshot

    async def verify(self, snapshot: Snapshot) -> Snapshot:
        """Read every leaf again, compute the CID from what is on disk, compare it with the expected and the known one.

        Raises StoreCorrupted (fetching again repairs it) or CidMismatch.
        """
        try:
            return await self._verify(snapshot)
        except ContentError as error:
            for finding in findings_of(error, "Store", "store"):
                self._on_finding(finding)
            await self._withdraw()
            raise

    async def _verify(self, snapshot: Snapshot) -> Snapshot:
        manifest = await self._stored_manifest(snapshot)
        files = [file.hub for file in manifest.files]
        await asyncio.to_thread(self._store.verify_blobs, snapshot.repo, files)
        await asyncio.to_thread(self._store.verify_copies, snapshot.repo, snapshot.commit, files)
        tree = await asyncio.to_thread(self._tree, snapshot.repo, files)
        for wanted in (snapshot.request.expected_cid, snapshot.request.cid, snapshot.cid):
            if wanted and wanted != tree.root:
                raise CidMismatch(f"{snapshot.repo}@{snapshot.commit}", expected=wanted, actual=tree.root)
        if self._sharing is not None:
            await self._sharing.completed(manifest.listing.source_digest, tree.root, snapshot.manifest_cid)
        return replace(snapshot, cid=tree.root)

    async def pin(self, snapshot: Snapshot) -> PinReceipt:
        """Pin the snapshot in every backend that can; one confirmed pin is enough.

        Raises PinFailed when none confirms, StoreCorrupted when our own files turn out wrong.
        """
        manifest = await self._stored_manifest(snapshot)
        tree = await asyncio.to_thread(self._tree, snapshot.repo, [file.hub for file in manifest.files])
        bring, encoded = bring_car(snapshot, tree), manifest.encode()
        pins = await pin_everywhere(self._router, tree.root, bring, snapshot.manifest_cid, encoded, self._on_operation)
        receipt = await confirm(snapshot, pins, lambda: self.verify(snapshot))
        await asyncio.to_thread(keep_record, self._store, snapshot.request.owner, snapshot, receipt)
        return receipt

    async def missing_pins(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the backends that could pin the snapshot, answer, and have not; one that does not answer may have it."""
        return await missing_pins(self._router, {snapshot.cid, snapshot.manifest_cid})

    def circuits(self) -> dict[str, CircuitState]:
        """Return the state of each backend's circuit by name."""
        return self._router.circuits()

    async def close(self) -> None:
        """Release the backends' connections, and let collections have what was fetched."""
        self.release()
        await self._router.close()
        if self._sharing is not None:
            await self._sharing.close()

    def release(self) -> None:
        """Let collections have what was fetched; for who goes on using the backends, instead of `close`."""
        for use in self._uses.values():
            use.close()
        self._uses.clear()

    async def _use(self, repo: RepoId) -> None:
        if repo.folder not in self._uses:
            self._uses[repo.folder] = ExitStack()
            use = self._store.uses.of_repository(repo.folder)
            await finish_in_thread(self._uses[repo.folder].enter_context, use)

    async def _withdraw(self) -> None:
        if self._sharing is not None:
            await self._sharing.withdraw()

    async def _manifest(self, request: FetchRequest) -> Manifest | None:
        """Return the manifest that the request names, or None when it names none or nobody has it."""
        cid = request.manifest_cid
        if cid is None:
            return None
        manifest = await asyncio.to_thread(self._store.get_manifest, cid)
        if manifest is None:
            try:
                manifest = await read_manifest(cid, self._router.block_get)
            except BackendUnavailable:
                self._manifests_missed.add(cid)
                return None  # the receipt tells; the hub has the listing too
            await asyncio.to_thread(self._store.put_manifest, manifest)
        if (manifest.repo, manifest.commit) != (request.repo, request.commit):
            wanted = f"{request.repo}@{request.commit}"
            raise DigestMismatch(f"manifest {cid} is of {manifest.repo}@{manifest.commit}, not of {wanted}")
        if request.cid and manifest.root != request.cid:
            raise CidMismatch(f"the root in manifest {cid}", expected=request.cid, actual=manifest.root)
        return manifest

    async def _stored_manifest(self, snapshot: Snapshot) -> Manifest:
        manifest = await asyncio.to_thread(self._store.get_manifest, snapshot.manifest_cid)
        if manifest is None:
            raise StoreCorrupted(f"{snapshot.repo}: manifest {snapshot.manifest_cid} is gone from the store", paths=())
        return manifest

    def _check_space(self, request: FetchRequest, listing: Listing) -> None:
        self._store.check_names(listing.files)
        files = {file.etag: file for file in listing.files}.values()
        what = f"{request.repo}@{request.commit}"
        needed = space_of(files)
        if 0 < request.size_limit_bytes < needed:
            available = request.size_limit_bytes
            raise InsufficientStorage(f"{what} and the cache's limit", needed_bytes=needed, available_bytes=available)
        absent = [file for file in files if not self._store.blob(request.repo, file).exists()]
        needed = space_of(absent)
        if not self._store.has_room(needed):
            free = self._store.free_bytes()
            raise InsufficientStorage(f"{what} and the cache's free space", needed_bytes=needed, available_bytes=free)

    def _wrong_offline(self, request: FetchRequest, wrong: Sequence[DigestMismatch]) -> DigestMismatch:
        told = "; ".join(map(str, wrong))
        where = self._store.side / "quarantine"
        message = f"{request.repo}@{request.commit}: {told}; taken out (to {where}), and the hub is not asked for it again"
        return DigestMismatch(message, source="store", path=wrong[0].path)

    def _records(self, repo: RepoId, files: Sequence[HubFile]) -> dict[str, BlobRecord]:
        """Return the record of each file by path; raise StoreCorrupted when one is not here."""
        records = {file.path: record for file in files if (record := self._store.adopt(repo, file))}
        if absent := tuple(file.path for file in files if file.path not in records):
            raise StoreCorrupted(f"{repo}: not whole in the store: {', '.join(absent[:5])}", paths=absent)
        return records

    def _tree(self, repo: RepoId, files: Sequence[HubFile]) -> TreeLayout:
        layouts: dict[str, FileLayout] = {path: record.layout for path, record in self._records(repo, files).items()}
        return layout_tree(layouts)

    def _lay_out(self, request: FetchRequest, listing: Listing) -> Snapshot:
        """Compute the CID, keep the manifest, link the snapshot."""
        repo = request.repo
        records = self._records(repo, listing.files)
        root = layout_tree({path: record.layout for path, record in records.items()}).root
        entries = tuple(ManifestFile(file, records[file.path].sha256, records[file.path].layout.cid) for file in listing.files)
        manifest = Manifest(repo, request.commit, root, entries)
        # What nobody has confirmed is not written down: it would count as a record of ours the next time.
        manifest_cid = self._store.put_manifest(manifest, lasting=not listing.unconfirmed)
        path = self._store.link_snapshot(repo, request.commit, listing.files, request.revision)
        blobs = {file.path: self._store.blob(repo, file) for file in listing.files}
        return Snapshot(
            *(path, repo, request.commit, root, manifest_cid, listing.total_bytes, len(blobs), blobs, request),
            unconfirmed=listing.unconfirmed,
        )


def space_of(files: Iterable[HubFile]) -> int:
    """Return the bytes that files take in the store, sidecars and links counted."""
    return sum(file.size + file.size // 32768 + _OVERHEAD_PER_FILE for file in files)
