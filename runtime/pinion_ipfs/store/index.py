"""The store's blocks by CID: built in memory from manifests and sidecars, so that it can't contradict them."""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..content.cid import RAW, Cid
from ..content.leaves import CHUNK
from ..content.unixfs import FileLayout, TreeLayout, layout_tree
from .store import Store


@dataclass(frozen=True, slots=True)
class StoredTree:
    """A snapshot's DAG and the file behind each of its paths."""

    tree: TreeLayout
    blobs: dict[str, Path]


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """Where a leaf's bytes are."""

    blob: Path
    offset: int
    size: int


class StoreIndex:
    """What the store can answer for. Blocking; the methods may be called from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._stamp = -1
        self.trees: dict[Cid, StoredTree] = {}
        self.files: dict[Cid, tuple[FileLayout, Path]] = {}
        self._nodes: dict[Cid, bytes] = {}
        self._leaves: dict[Cid, StoredLeaf] = {}

    def refresh(self) -> None:
        """Read what came since the last time; nothing is done when no manifest was added or removed."""
        folder = self._store.side / "manifests"
        stamp = folder.stat().st_mtime_ns if folder.is_dir() else 0
        with self._lock:
            if stamp != self._stamp:
                self._build()
                self._stamp = stamp

    def _build(self) -> None:
        self.trees, self.files, self._nodes, self._leaves = {}, {}, {}, {}
        for cid, manifest in self._store.manifests():
            layouts: dict[str, FileLayout] = {}
            blobs: dict[str, Path] = {}
            for file in manifest.files:
                if record := self._store.record(manifest.repo, file.hub):
                    layouts[file.hub.path] = record.layout
                    blobs[file.hub.path] = self._store.blob(manifest.repo, file.hub)
                    self._add_file(record.layout, blobs[file.hub.path])
            self._nodes[cid] = manifest.encode()
            if len(layouts) == len(manifest.files):
                tree = layout_tree(layouts)
                self.trees[tree.root] = StoredTree(tree, blobs)
                self._nodes.update(tree.nodes)

    def _add_file(self, layout: FileLayout, blob: Path) -> None:
        self.files[layout.cid] = (layout, blob)
        self._nodes.update(layout.nodes)
        for index, digest in enumerate(layout.leaves):
            self._leaves[Cid.from_digest(RAW, digest)] = StoredLeaf(blob, index * CHUNK, layout.leaf_size(index))

    def block(self, cid: Cid) -> bytes | None:
        """Return a block's bytes as they are on disk, unverified, or None."""
        if cid in self._nodes:
            return self._nodes[cid]
        leaf = self._leaves.get(cid)
        if leaf is None:
            return None
        try:
            with leaf.blob.open("rb") as stream:
                stream.seek(leaf.offset)
                return stream.read(leaf.size)
        except OSError:
            return None

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._nodes or cid in self._leaves
