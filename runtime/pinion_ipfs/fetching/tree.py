"""The fetcher of what is named by CID alone: no hub is asked; store, then peers, then backends, whoever made the tree.

What the guarantee rests on: the CID. Directories and interior nodes are hashed from it downwards when they are read, from a
network or from our records; they give each file's leaves; and `verify` compares the bytes on disk with those, leaf by leaf,
however large the leaves are and whether they are raw. Nothing else that is written down is believed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from ..backends.base import Attempt, Backend, Capability, Receipt
from ..backends.breaker import BreakerSettings, CircuitState
from ..content.cid import Cid
from ..content.dag_pb import decode_node
from ..content.reading import read_file
from ..content.unixfs import layout_tree
from ..errors import (
    BackendUnavailable,
    BlockMismatch,
    CidMismatch,
    ContentError,
    DigestMismatch,
    InsufficientStorage,
    StoreCorrupted,
    StoreInaccessible,
    UnsupportedDag,
)
from ..findings import Finding, findings_of
from ..hub import adapters, quantization, weight_index
from ..hub.listing import HubFile, Listing, select
from ..hub.manifest import Manifest, ManifestFile
from ..hub.selection import INDEX, SINGLE
from ..hub.trees import tree_commit, tree_file, tree_repo
from ..peers.turns import Sharing
from ..progress import Progress, ProgressMeter
from ..routing.router import Router
from ..store import Store
from ..store.laid_out import Leaf, first_wrong, leaves_of
from ..store.tree_records import MAX_NODES_BYTES, FileRecord, TreeRecords
from ..threads import finish_in_thread
from .fetcher import space_of
from .pinning import Bring, bring_car, confirm, keep_record, missing_pins, pin_everywhere
from .request import PinReceipt
from .sources import PEERS
from .tree_blocks import forward
from .tree_files import TreeFiles
from .tree_peers import TreePeers
from .tree_request import TreeRequest, TreeSnapshot
from .tree_walk import Tree, TreeFile, walk_tree

_UNKNOWN_OID = "0" * 40
_MAX_THREADS = 4  # that hash files; weights come in several where they are large


class TreeFetcher:
    """Lists, fetches, verifies and pins one tree. `on_progress` and `on_finding` may be called from a worker thread."""

    def __init__(
        self,
        store: Store,
        request: TreeRequest,
        backends: Sequence[Backend] = (),
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_operation: Callable[[Receipt], None] = lambda receipt: None,
        *,
        breakers: Mapping[str, BreakerSettings] | None = None,
        sharing: Sharing | None = None,
        on_finding: Callable[[Finding], None] = lambda finding: None,
    ) -> None:
        self._store, self._request = store, request
        self._router = Router(backends, on_operation, breakers=breakers)
        self._on_progress, self._on_operation, self._on_finding = on_progress, on_operation, on_finding
        self._records = TreeRecords(store, request.digest)
        self._sharing = sharing
        self._peers = TreePeers(store, self._records, sharing, request, self._wrong)
        self._tree: Tree | None = None
        self._use: ExitStack | None = (
            None  # of the repository, from the fetch to the end: no collection takes what is used here
        )

    async def resolve(self, request: TreeRequest) -> Listing:
        """Walk the tree and choose its files; nothing of them is fetched but what tells whether they can be served.

        Raises CidMismatch for another folder than the expected one, SourceNotFound, UnsupportedDag, InsufficientStorage, and
        BackendUnavailable when nobody gives a node, or the right one.
        """
        self._peers.begin()
        kept = await asyncio.to_thread(self._records.nodes)

        async def block(cid: Cid) -> bytes:
            return kept[cid] if cid in kept else await self._block(cid)

        self._tree = tree = await walk_tree(request.root, request.path, block)
        self.expect(request)
        files = [HubFile(file.path, file.size, _UNKNOWN_OID) for file in tree.files.values()]
        allow, ignore = request.allow_patterns, request.ignore_patterns
        listing = select(files, allow_patterns=allow, ignore_patterns=ignore, where=str(request))
        base = adapters.base_in_config(await self._small(tree, adapters.CONFIG, block))
        quantized = quantization.in_config(await self._small(tree, quantization.CONFIG, block))
        named = await self._indexed(tree, listing, block)
        await asyncio.to_thread(self._check_space, tree, listing)
        if tree.nodes.keys() != kept.keys() and sum(map(len, tree.nodes.values())) < MAX_NODES_BYTES:
            await asyncio.to_thread(self._records.put_nodes, tree.nodes, root=tree.cid)
        return replace(listing, source_digest=request.digest, base_model=base, quantization=quantized, indexed=named)

    def expect(self, request: TreeRequest) -> None:
        """Take what is wished by now of the tree that was walked; raise CidMismatch when that is not the folder there."""
        self._request, tree = request, self._known_tree()
        for wanted in (request.expected_cid, request.known_cid):
            if wanted and wanted != tree.cid:
                raise CidMismatch(str(request), expected=wanted, actual=tree.cid)

    async def fetch(self, listing: Listing) -> TreeSnapshot:
        """Bring the missing files and lay them out; whole files of an earlier try are not fetched again.

        Raises the error of what could not be had; files that came before it stay.
        """
        tree = self._known_tree()
        if self._use is None:
            self._use = ExitStack()
            use = self._store.uses.of_repository(tree_repo(tree.cid).folder)
            await finish_in_thread(self._use.enter_context, use)
        chosen = [tree.files[file.path] for file in listing.files]
        meter = ProgressMeter(sum(file.size for file in chosen), self._on_progress)
        missing = [file for file in chosen if not await asyncio.to_thread(self._is_here, tree, file, meter)]
        meter.publish()
        if missing and not self._store.writable:
            shown = ", ".join(file.path for file in missing[:3])
            raise StoreInaccessible(f"{self._store.hf_home} can't be written, and lacks {shown} of {self._request}")
        if missing:
            try:
                with self._store.staging_session():
                    await self._bring(tree, chosen, missing, meter)
            except BaseException:
                await self._withdraw()
                raise
        snapshot = await finish_in_thread(self._lay_out, tree, chosen)
        meter.publish()
        return snapshot

    async def verify(self, snapshot: TreeSnapshot) -> TreeSnapshot:
        """Read every file again and compare each leaf with the tree's; raise StoreCorrupted: fetching again repairs it.

        On a volume that can't be written nothing is repaired: DigestMismatch.
        """
        try:
            await asyncio.to_thread(self._verify, snapshot)
        except ContentError as error:
            for finding in findings_of(error, "Store", "store"):
                self._on_finding(finding)
            await self._withdraw()
            raise
        if self._sharing is not None:
            await self._sharing.completed(self._request.digest, snapshot.cid, snapshot.manifest_cid)
        return snapshot

    async def pin(self, snapshot: TreeSnapshot) -> PinReceipt:
        """Pin the folder's CID in every backend that can; who has the tree pins it as it is, to others its blocks are sent.

        Raises PinFailed when none confirms, StoreCorrupted when our own files turn out wrong.
        """
        encoded, bring = snapshot.manifest.encode(), await asyncio.to_thread(self._bring_to, snapshot)
        pins = await pin_everywhere(self._router, snapshot.cid, bring, snapshot.manifest_cid, encoded, self._on_operation)
        receipt = await confirm(snapshot, pins, lambda: self.verify(snapshot))
        await asyncio.to_thread(keep_record, self._store, snapshot.request.owner, snapshot, receipt)
        return receipt

    async def missing_pins(self, snapshot: TreeSnapshot) -> tuple[str, ...]:
        """Return the backends that could pin the snapshot, answer, and have not."""
        return await missing_pins(self._router, {snapshot.cid, snapshot.manifest_cid})

    def circuits(self) -> dict[str, CircuitState]:
        """Return the state of each backend's circuit by name."""
        return self._router.circuits()

    async def close(self) -> None:
        """Release connections, and let collections have what was fetched."""
        if self._use is not None:
            self._use.close()
        await self._router.close()
        if self._sharing is not None:
            await self._sharing.close()

    async def _block(self, cid: Cid) -> bytes:
        """Return a verified block: peers are asked first, as for files."""
        block = await self._peers.block(cid)
        return block if block is not None else await self._of_backends(cid)

    async def _of_backends(self, cid: Cid) -> bytes:
        """Return a verified block; raise BackendUnavailable also where all that came was wrong: no byte of the tree is."""
        try:
            return await self._router.block_get(cid)
        except BlockMismatch as error:
            raise BackendUnavailable(str(error)) from error

    async def _indexed(self, tree: Tree, listing: Listing, block: Callable[[Cid], Awaitable[bytes]]) -> frozenset[str]:
        """Return which files an index of weights names, none where there is none that is used."""
        paths = {file.path for file in listing.files}
        if INDEX not in paths or SINGLE in paths:
            return frozenset()
        return weight_index.files_in_index(await self._small(tree, INDEX, block, weight_index.LARGEST))

    async def _small(
        self, tree: Tree, path: str, block: Callable[[Cid], Awaitable[bytes]], most: int = quantization.LARGEST_CONFIG
    ) -> bytes:
        """Return what a small file at the top holds, nothing when it is not there or not small."""
        file = tree.files.get(path)
        if file is None or file.size > most:
            return b""
        if (data := await asyncio.to_thread(self._stored, tree, file)) is not None:
            return data

        async def known(cid: Cid) -> bytes:
            return tree.nodes[cid] if cid in tree.nodes else await block(cid)

        return b"".join([piece async for piece in read_file(file.cid, known)])

    def _stored(self, tree: Tree, file: TreeFile) -> bytes | None:
        """Return what a file in the store holds, None when it is not there or not right."""
        record = self._records.file(file.cid)
        if record is None:
            return None
        blob = self._store.blob(tree_repo(tree.cid), tree_file(file.path, file.size, record.sha256))
        try:
            right = first_wrong(blob, _leaves(tree, file, record)) is None
            return blob.read_bytes() if right else None
        except (OSError, UnsupportedDag):
            return None

    async def _bring(self, tree: Tree, chosen: list[TreeFile], missing: list[TreeFile], meter: ProgressMeter) -> None:
        from_backends = self._router.able(Capability.READ)
        preferred = from_backends[0].name if from_backends else PEERS
        served_by, error, count = "", "", sum(file.size for file in missing)
        files = TreeFiles(
            self._store, self._records, tree_repo(tree.cid), self._router, partial(meter.add, "Backend"), self._wrong_backend
        )
        started = asyncio.get_running_loop().time()
        attempts: Sequence[Attempt] = ()
        try:
            left = await self._peers.bring(tree, chosen, missing, partial(meter.add, "Peer"), self._block)
            served_by = PEERS if not left else ""
            fetched: set[Cid] = set()
            for file in left:
                if file.cid not in fetched:
                    served_by = await files.bring(file)
                    fetched.add(file.cid)
        except ContentError as caught:
            served_by, error = "", f"{type(caught).__name__}: {caught}"
            raise
        finally:
            attempts = (*self._peers.attempts, *files.attempts)
            preferred = PEERS if served_by == PEERS else preferred
            seconds = asyncio.get_running_loop().time() - started
            self._on_operation(Receipt("fetch", served_by, preferred, seconds, count, str(tree.cid), attempts, error))
            self._peers.begin()

    def _known_tree(self) -> Tree:
        assert self._tree is not None, "resolve comes first"
        return self._tree

    def _is_here(self, tree: Tree, file: TreeFile, meter: ProgressMeter) -> bool:
        record = self._records.file(file.cid)
        if record is None or record.size != file.size:
            return False
        try:
            _leaves(tree, file, record)
        except UnsupportedDag:  # a record that somebody has damaged
            return False
        if self._store.adopt(tree_repo(tree.cid), tree_file(file.path, file.size, record.sha256)) is None:
            return False
        meter.add("Store", "store", file.size)
        return True

    def _lay_out(self, tree: Tree, chosen: Sequence[TreeFile]) -> TreeSnapshot:
        """Link the snapshot and keep its manifest, whose root is that of the chosen files under our own profile."""
        repo, commit = tree_repo(tree.cid), tree_commit(tree.cid)
        entries: list[ManifestFile] = []
        layouts, leaves = {}, {}
        for file in chosen:
            known = self._records.file(file.cid)
            hub = tree_file(file.path, file.size, known.sha256) if known else None
            record = self._store.adopt(repo, hub) if hub else None
            if known is None or hub is None or record is None:
                raise StoreCorrupted(f"{repo}: not whole in the store: {file.path}", paths=(file.path,))
            layouts[file.path] = record.layout
            leaves[file.path] = _leaves(tree, file, known)
            entries.append(ManifestFile(hub, record.sha256, record.layout.cid))
        manifest = Manifest(repo, commit, layout_tree(layouts).root, tuple(entries))
        hubs = [entry.hub for entry in entries]
        manifest_cid = self._store.put_manifest(manifest)
        path = self._store.link_snapshot(repo, commit, hubs)
        blobs = {hub.path: self._store.blob(repo, hub) for hub in hubs}
        total = sum(hub.size for hub in hubs)
        return TreeSnapshot(*(path, tree.cid, manifest_cid, total, len(hubs), blobs, tree, leaves, manifest, self._request))

    def _verify(self, snapshot: TreeSnapshot) -> None:
        def look(path: str) -> int | None:
            try:  # what the engine opens: where a filesystem has no links, that is no blob
                return first_wrong(snapshot.path / path, snapshot.leaves[path])
            except OSError:
                return 0

        with ThreadPoolExecutor(_MAX_THREADS, "pinion-tree") as pool:
            found = dict(zip(snapshot.leaves, pool.map(look, snapshot.leaves), strict=True))
        wrong = {path: block for path, block in found.items() if block is not None}
        if not wrong:
            return
        places = tuple(wrong.items())
        shown = ", ".join(f"{path} (block {block})" for path, block in places)
        if not self._store.writable:
            message = f"{snapshot.repo}: no longer what was stored: {shown}; the volume can't be written, so it stays"
            raise DigestMismatch(message, source="store", path=places[0][0], block=places[0][1])
        hubs = {entry.hub.path: entry.hub for entry in snapshot.manifest.files}
        for path in wrong:
            self._records.remove_file(snapshot.tree.files[path].cid)
            self._store.quarantine(snapshot.repo, hubs[path])
            (snapshot.path / path).unlink(missing_ok=True)
        message = f"{snapshot.repo}: no longer what was stored: {shown}; taken out of the store"
        raise StoreCorrupted(message, paths=tuple(wrong), places=places)

    def _bring_to(self, snapshot: TreeSnapshot) -> Bring:
        """Return how a backend gets the tree: as one CAR when our own layout of the files has its CID, else by its blocks."""
        layouts = {}
        for entry in snapshot.manifest.files:
            record = self._store.adopt(snapshot.repo, entry.hub)
            if record is None:
                raise StoreCorrupted(f"{snapshot.repo}: not in the store: {entry.hub.path}", paths=(entry.hub.path,))
            layouts[entry.hub.path] = record.layout
        tree = layout_tree(layouts)
        if tree.root == snapshot.cid:
            return bring_car(snapshot, tree)
        return partial(forward, snapshot, self._of_backends)

    def _check_space(self, tree: Tree, listing: Listing) -> None:
        self._store.check_names(listing.files)
        files = {tree.files[file.path].cid: file for file in listing.files}
        limit, needed = self._request.size_limit_bytes, space_of(files.values())
        if 0 < limit < needed:
            raise InsufficientStorage(f"{self._request} and the cache's limit", needed_bytes=needed, available_bytes=limit)
        absent = [file for cid, file in files.items() if not self._has_blob(tree, file, cid)]
        needed = space_of(absent)
        if not self._store.has_room(needed):
            free = self._store.free_bytes()
            what = f"{self._request} and the cache's free space"
            raise InsufficientStorage(what, needed_bytes=needed, available_bytes=free)

    def _has_blob(self, tree: Tree, file: HubFile, cid: Cid) -> bool:
        record = self._records.file(cid)
        if record is None:
            return False
        return self._store.blob(tree_repo(tree.cid), tree_file(file.path, file.size, record.sha256)).exists()

    async def _withdraw(self) -> None:
        if self._sharing is not None:
            await self._sharing.withdraw()

    def _wrong(self, error: ContentError, name: str) -> None:
        for finding in findings_of(error, "Peer", name):
            self._on_finding(finding)

    def _wrong_backend(self, error: ContentError, name: str) -> None:
        for finding in findings_of(error, "Backend", name):
            self._on_finding(finding)


def _leaves(tree: Tree, file: TreeFile, known: FileRecord) -> tuple[Leaf, ...]:
    """Return a file's leaves from the nodes that were met when it was listed and fetched."""

    def node(cid: Cid) -> bytes | None:
        block = known.nodes.get(cid) or tree.nodes.get(cid)
        return block if block is not None and decode_node(block).links else None

    return leaves_of(file.cid, file.size, node)
