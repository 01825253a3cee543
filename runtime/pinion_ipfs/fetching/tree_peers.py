"""A tree from the other pods of a deployment: what they say of their files counts once the bytes have the tree's own CIDs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ..backends.base import Attempt
from ..content.cid import RAW, Cid
from ..content.dag_pb import decode_node
from ..content.unixfs_pb import FileData, decode_data
from ..errors import (
    BlockMismatch,
    ContentError,
    ContentMissing,
    DigestMismatch,
    InsufficientStorage,
    StoreCorrupted,
    UnsupportedDag,
)
from ..hub.identity import RepoId
from ..hub.listing import HubFile
from ..hub.manifest import Manifest, read_manifest
from ..hub.trees import tree_commit, tree_file, tree_repo
from ..peers.client import Peer
from ..peers.files import PeerFiles
from ..peers.offers import Offer
from ..peers.turns import Sharing
from ..store import Store
from ..store.laid_out import check_nodes, first_wrong, leaves_of
from ..store.tree_records import FileRecord, TreeRecords
from .tree_request import TreeRequest
from .tree_walk import Tree, TreeFile

BlockGet = Callable[[Cid], Awaitable[bytes]]
_MAX_NODES = 1_000_000  # of one file


class TreePeers:
    """Asks those that have all of the tree. Never raises for what a peer does."""

    def __init__(
        self,
        store: Store,
        records: TreeRecords,
        sharing: Sharing | None,
        request: TreeRequest,
        on_wrong: Callable[[ContentError, str], None],
    ) -> None:
        self._store, self._records, self._sharing = store, records, sharing
        self._digest, self._on_wrong = request.digest, on_wrong
        self._offers: Sequence[Offer] | None = None
        self._banned: set[str] = set()
        self.attempts: list[Attempt] = []

    def begin(self) -> None:
        """Ask everybody anew: who failed, or had nothing, may do better by now."""
        self._offers, self._banned, self.attempts = None, set(), []

    async def block(self, cid: Cid) -> bytes | None:
        """Return a node that a peer has, None when none gives it."""
        for offer in await self._known():
            try:
                return await offer.peer.block_get(cid)
            except ContentMissing:
                continue
            except ContentError as error:
                self._ban(error, offer, 0.0)
        return None

    async def bring(
        self,
        tree: Tree,
        chosen: Sequence[TreeFile],
        missing: Sequence[TreeFile],
        on_bytes: Callable[[str, int], None],
        block_get: BlockGet,
    ) -> list[TreeFile]:
        """Bring what peers give of the missing files; return what is missing still."""
        left = list(missing)
        self._offers = None  # who had nothing when the tree was listed may have all of it by now
        for offer in await self._known():
            if not left or offer.revision.cid != tree.cid:
                continue
            started = time.monotonic()
            try:
                await self._from(offer, tree, chosen, left, on_bytes, block_get)
            except InsufficientStorage:  # no peer's doing
                raise
            except ContentError as error:
                self._ban(error, offer, time.monotonic() - started)
        return left

    async def _known(self) -> list[Offer]:
        if self._sharing is None:
            return []
        if self._offers is None:
            self._offers = await self._sharing.offers(self._digest, None)
        return [offer for offer in self._offers if offer.peer.name not in self._banned]

    async def _from(
        self,
        offer: Offer,
        tree: Tree,
        chosen: Sequence[TreeFile],
        left: list[TreeFile],
        on_bytes: Callable[[str, int], None],
        block_get: BlockGet,
    ) -> None:
        """Take files out of `left` one by one, as they are here and proven."""
        manifest = await self._manifest(offer, tree, chosen)
        self._store.put_manifest(manifest, lasting=False)  # what a peer says is for this fetch alone
        hubs = {entry.hub.path: entry.hub for entry in manifest.files}
        files = PeerFiles(self._store, manifest.repo, manifest.listing, on_bytes, self._on_wrong)
        # The manifest's root is that of the chosen files, laid out by us; that it is of this tree was compared by their names.
        laid_out = replace(offer, revision=replace(offer.revision, cid=manifest.root))
        for file in tuple(left):
            hub = hubs[file.path]
            if await asyncio.to_thread(self._store.adopt, manifest.repo, hub) is not None:
                if await self._prove(tree, file, hub, manifest.repo, offer.peer, block_get) is None:
                    left.remove(file)
                    continue
                if await asyncio.to_thread(self._is_sound, manifest.repo, hub):
                    continue  # the right bytes of another file, as this peer calls them: of no use, and nothing came from it
            await files.bring([laid_out], [hub])
            if files.attempts:  # it gives no more
                self.attempts.extend(files.attempts)
                self._banned.add(offer.peer.name)
                return
            try:
                wrong = await self._prove(tree, file, hub, manifest.repo, offer.peer, block_get)
                if wrong is not None:
                    await asyncio.to_thread(self._store.quarantine, manifest.repo, hub)
                    what = f"{file.path} from {offer.peer.name}: other bytes than {file.cid}"
                    raise DigestMismatch(what, source=offer.peer.name, path=file.path, block=wrong)
            except ContentError:
                on_bytes(offer.peer.name, -file.size)
                raise
            left.remove(file)

    async def _prove(
        self, tree: Tree, file: TreeFile, hub: HubFile, repo: RepoId, peer: Peer, block_get: BlockGet
    ) -> int | None:
        """Compare a blob with the leaves of a file's CID: note it when it is right, else return the first wrong leaf."""
        nodes = await _nodes_of(tree, file, peer, block_get)
        leaves = await asyncio.to_thread(leaves_of, file.cid, file.size, nodes.get)
        wrong = await asyncio.to_thread(first_wrong, self._store.blob(repo, hub), leaves)
        if wrong is None:
            interior = {cid: block for cid, block in nodes.items() if block is not None}
            await asyncio.to_thread(self._records.put_file, file.cid, FileRecord(hub.etag, file.size, interior))
        return wrong

    def _is_sound(self, repo: RepoId, hub: HubFile) -> bool:
        """Tell whether a blob holds what its name says; one that has rotted is taken out."""
        try:
            self._store.verify_blobs(repo, [hub])
        except StoreCorrupted:
            return False
        return True

    async def _manifest(self, offer: Offer, tree: Tree, chosen: Sequence[TreeFile]) -> Manifest:
        """Return what the peer says of just the chosen files; raise DigestMismatch when it speaks of others."""
        cid = offer.revision.manifest_cid
        if cid is None:
            raise ContentMissing(f"{offer.peer.name} names no manifest")
        manifest = await read_manifest(cid, offer.peer.block_get)
        said = {entry.hub.path: entry.hub.size for entry in manifest.files}
        is_its = (manifest.repo, manifest.commit) == (tree_repo(tree.cid), tree_commit(tree.cid))
        named = all(entry.hub == tree_file(entry.hub.path, entry.hub.size, entry.sha256) for entry in manifest.files)
        if not is_its or not named or said != {file.path: file.size for file in chosen}:
            raise DigestMismatch(f"manifest {cid} from {offer.peer.name} is of other files", source=offer.peer.name)
        return manifest

    def _ban(self, error: ContentError, offer: Offer, seconds: float) -> None:
        name = offer.peer.name
        self._banned.add(name)
        if isinstance(error, BlockMismatch | DigestMismatch):
            self._on_wrong(error, name)
        self.attempts.append(Attempt("peers", str(error), type(error).__name__, seconds))


async def _nodes_of(tree: Tree, file: TreeFile, peer: Peer, block_get: BlockGet) -> dict[Cid, bytes | None]:
    """Return a file's interior nodes, None for leaves in dag-pb that were asked for.

    Of such leaves one in each node is asked for: in the layouts that programs make, its neighbours are leaves too.
    """
    nodes: dict[Cid, bytes | None] = {}
    held = 0
    wanted = [] if file.cid.codec == RAW else [file.cid]
    while wanted:
        cid = wanted.pop()
        if cid in nodes:
            continue
        block = tree.nodes.get(cid)
        if block is None:
            block = await _interior(cid, peer, block_get)
        links = decode_node(block).links if block is not None else ()
        nodes[cid] = block if links else None
        held += len(block) if block is not None and links else 0
        check_nodes(held)
        if len(nodes) > _MAX_NODES:
            raise UnsupportedDag(f"{file.path}: more than {_MAX_NODES} nodes")
        below = [link.cid for link in links if link.cid.codec != RAW and link.cid.inline is None and link.cid not in nodes]
        if below and await _interior(below[0], peer, block_get) is None:
            nodes.update(dict.fromkeys(below))
        else:
            wanted.extend(reversed(below))
    return nodes


async def _interior(cid: Cid, peer: Peer, block_get: BlockGet) -> bytes | None:
    """Return an interior node, None for a leaf; raise the error of who was asked."""
    try:
        block = await peer.block_get(cid)
    except ContentMissing:
        return None  # a peer has the nodes of what it offers, and their leaves are none of its blocks
    node = decode_node(block)
    return block if isinstance(decode_data(node.data), FileData) and node.links else None
