"""The store's blocks by CID: built in memory from manifests and sidecars, so that it can't contradict them."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..content.cid import RAW, Cid
from ..content.leaves import CHUNK
from ..content.unixfs import FileLayout, layout_tree
from ..hub.identity import RepoId
from ..hub.listing import HubFile
from ..hub.manifest import blocks_of
from .store import Store

_NOTE_SECONDS = 10.0  # between two notes that a file is in use
_SETTLED_NS = 2_000_000_000  # a folder that changed less than so long ago may change again within the same tick of its clock


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """Where a leaf's bytes are: the file that holds them, and its index there."""

    repo: RepoId
    file: HubFile
    index: int
    size: int

    @property
    def offset(self) -> int:
        """Return where it begins in the file."""
        return self.index * CHUNK


class StoreIndex:
    """What the store can answer for. Blocking; methods may be called from several threads, and processes may write beside."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._stamp: tuple[int, ...] = ()
        self._nodes: dict[Cid, bytes] = {}
        self._leaves: dict[Cid, StoredLeaf] = {}
        self._noted: dict[Path, float] = {}

    def refresh(self) -> None:
        """Read what came or went since the last time; nothing is done when no folder has changed."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._build()
                settled = not stamp or time.time_ns() - max(stamp) > _SETTLED_NS
                self._stamp = stamp if settled else ()

    def leaf(self, cid: Cid) -> StoredLeaf | None:
        """Return where a leaf is, if it is one of a stored file."""
        return self._leaves.get(cid)

    def block(self, cid: Cid) -> bytes | None:
        """Return a block's bytes as they are on disk, unverified, or None; raise OSError when its file can't be read."""
        if cid in self._nodes:
            return self._nodes[cid]
        leaf = self._leaves.get(cid)
        if leaf is None:
            return None
        try:
            with self._store.blob(leaf.repo, leaf.file).open("rb") as stream:
                stream.seek(leaf.offset)
                data = stream.read(leaf.size)
        except FileNotFoundError:
            return None
        self._note_use(self._store.sidecar(leaf.repo, leaf.file))
        return data

    def _note_use(self, sidecar: Path) -> None:
        """Note beside a blob that it was read: its own time of access says so once a day at most, or never."""
        now = time.monotonic()
        if now - self._noted.get(sidecar, -_NOTE_SECONDS) >= _NOTE_SECONDS:
            self._noted[sidecar] = now
            with suppress(OSError):
                os.utime(sidecar)

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._nodes or cid in self._leaves

    def _look(self) -> tuple[int, ...]:
        side, cache = self._store.side, self._store.cache_dir
        folders = [side / "manifests", *sorted(side.glob("sidecars/*")), *sorted(cache.glob("models--*/blobs"))]
        return tuple(_mtime(folder) for folder in folders)

    def _build(self) -> None:
        self._nodes, self._leaves = {}, {}
        for _, manifest in self._store.manifests(of_anybody=True):  # each leaf is checked when it is read
            layouts: dict[str, FileLayout] = {}
            for file in manifest.files:
                if record := self._store.claimed(manifest.repo, file.hub):
                    layouts[file.hub.path] = record.layout
                    self._add_file(record.layout, manifest.repo, file.hub)
            self._nodes.update(blocks_of(manifest.encode()))
            if len(layouts) == len(manifest.files):
                self._nodes.update(layout_tree(layouts).nodes)

    def _add_file(self, layout: FileLayout, repo: RepoId, file: HubFile) -> None:
        self._nodes.update(layout.nodes)
        for index, digest in enumerate(layout.leaves):
            self._leaves[Cid.from_digest(RAW, digest)] = StoredLeaf(repo, file, index, layout.leaf_size(index))


def _mtime(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
