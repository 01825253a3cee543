"""Files from peers into the store: interior nodes first, then ranges of each file, every leaf against its known digest."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from ..backends.base import Attempt
from ..content.cid import RAW, Cid
from ..content.dag_pb import decode_node
from ..content.leaves import CHUNK
from ..content.unixfs import FileLayout, layout_leaves
from ..errors import (
    BackendUnavailable,
    BlockMismatch,
    ContentError,
    ContentMissing,
    DigestMismatch,
    InvalidCid,
    InvalidRepository,
    UnsupportedDag,
)
from ..hub.identity import RepoId
from ..hub.listing import HubFile, Listing
from ..hub.manifest import read_manifest
from ..store import Store
from ..store.partial import PartialFile
from .client import Peer
from .offers import Offer

# Whatever of these a peer causes, nothing more is taken from it for this fetch.
_GIVE_UP_ON_PEER = (
    BackendUnavailable,
    BlockMismatch,
    DigestMismatch,
    UnsupportedDag,
    InvalidCid,
    InvalidRepository,
)


class PeerFiles:
    """Fills the store with files of one listing from peers that have all of them; the next peer goes on where one failed."""

    def __init__(
        self,
        store: Store,
        repo: RepoId,
        listing: Listing,
        on_bytes: Callable[[str, int], None],
        on_wrong: Callable[[ContentError, str], None],
    ) -> None:
        self._store, self._repo, self._listing = store, repo, listing
        self._on_bytes, self._on_wrong = on_bytes, on_wrong
        self.banned: set[str] = set()
        self.attempts: list[Attempt] = []
        self._partial: PartialFile | None = None  # what one peer began and the next may end
        self._counted: dict[str, int] = {}  # its bytes by peer

    async def bring(self, offers: Sequence[Offer], missing: Sequence[HubFile]) -> str:
        """Bring what the peers give of the missing files; return the name of the last peer that gave something, or ''.

        Never raises for what a peer does; what is still missing afterwards is the caller's to find.
        """
        served_by = ""
        left = list(missing)
        try:
            for offer in offers:
                name = offer.peer.name
                if not left or name in self.banned:
                    continue
                started = time.monotonic()
                try:
                    cids = await self._cids(offer)
                    while left:
                        await self._file(offer.peer, left[0], cids[left[0].etag])
                        left.pop(0)
                        served_by = name
                except _GIVE_UP_ON_PEER as error:
                    self.banned.add(name)
                    self._on_wrong(error, name)
                    self.attempts.append(Attempt("peers", str(error), type(error).__name__, time.monotonic() - started))
        finally:
            await self._discard()
        return served_by

    async def _cids(self, offer: Offer) -> Mapping[str, Cid]:
        """Return the CID of each file by etag, from the peer's manifest; raise when that is of other files than the listing."""
        cid = offer.revision.manifest_cid
        if cid is None:
            raise ContentMissing(f"{offer.peer.name} names no manifest")
        manifest = await asyncio.to_thread(self._store.get_manifest, cid)
        if manifest is None:
            manifest = await read_manifest(cid, offer.peer.block_get)
        if manifest.root != offer.revision.cid or manifest.listing.source_digest != self._listing.source_digest:
            raise DigestMismatch(f"manifest {cid} from {offer.peer.name} is of other files", source=offer.peer.name)
        return {entry.hub.etag: entry.cid for entry in manifest.files}

    async def _file(self, peer: Peer, file: HubFile, cid: Cid) -> None:
        """Bring one file, from where another peer stopped when that was the same file."""
        if self._partial is None or self._partial.layout.cid != cid:
            await self._discard()
            self._partial = PartialFile(self._store, self._repo, file, await _layout(peer, cid, file))
        partial, count = self._partial, len(self._partial.layout.leaves)
        if file.size == 0:
            await partial.take(b"", peer.name)
        elif partial.next < count:
            async with aclosing(peer.leaves(cid, file.size, partial.next)) as leaves:
                async for leaf in leaves:
                    await partial.take(leaf, peer.name)
                    self._counted[peer.name] = self._counted.get(peer.name, 0) + len(leaf)
                    self._on_bytes(peer.name, len(leaf))
        if partial.next < count:
            raise BackendUnavailable(f"{peer.name}: {file.path} ends before block {partial.next}")
        try:
            await partial.finish(peer.name)
        except DigestMismatch:
            await self._discard()
            raise
        self._partial, self._counted = None, {}

    async def _discard(self) -> None:
        """Throw an unfinished file away, and take its bytes back from those who gave them."""
        partial, counted, self._partial, self._counted = self._partial, self._counted, None, {}
        for name, count in counted.items():
            self._on_bytes(name, -count)
        if partial is not None:
            await partial.close()


async def _layout(peer: Peer, cid: Cid, file: HubFile) -> FileLayout:
    """Return a file's layout from its interior nodes; raise UnsupportedDag when they are not those of the profile."""
    if cid.inline is not None:
        raise UnsupportedDag(f"{file.path} at {peer.name}: {cid} is inline, which the profile has not")
    if file.size > CHUNK:
        digests: list[bytes] = []
        await _collect(peer, cid, digests, -(-file.size // CHUNK))
    else:
        digests = [cid.digest]
    layout = layout_leaves(digests, file.size) if len(digests) == max(1, -(-file.size // CHUNK)) else None
    if layout is None or layout.cid != cid:
        raise UnsupportedDag(f"{file.path} at {peer.name}: {cid} is not laid out as a file of {file.size} bytes")
    return layout


async def _collect(peer: Peer, cid: Cid, digests: list[bytes], most: int, depth: int = 0) -> None:
    if depth > 5:
        raise UnsupportedDag(f"{cid} at {peer.name}: too many levels")
    for link in decode_node(await peer.block_get(cid)).links:
        if link.cid.inline is not None:
            raise UnsupportedDag(f"{cid} at {peer.name}: inline blocks, which the profile has not")
        if link.cid.codec != RAW:
            await _collect(peer, link.cid, digests, most, depth + 1)
        elif len(digests) < most:
            digests.append(link.cid.digest)
        else:
            raise UnsupportedDag(f"{cid} at {peer.name}: more leaves than the file has")
