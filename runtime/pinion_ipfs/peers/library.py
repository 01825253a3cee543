"""The content of the roots that a server was told of, and nothing else: nodes in memory, leaves and files by their place."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..content.cid import RAW, Cid
from ..content.leaves import CHUNK
from ..content.unixfs import FileLayout, TreeLayout, layout_tree
from ..errors import StoreCorrupted
from ..hub.manifest import blocks_of
from ..hub.trees import tree_repo
from ..store import Store
from ..store.tree_records import TreeRecords


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a model: its layout, its path in the model, and where its bytes are."""

    layout: FileLayout
    path: str
    blob: Path


@dataclass(frozen=True, slots=True)
class StoredTree:
    """A model: its directories and files."""

    tree: TreeLayout
    files: dict[str, StoredFile]


class Shelf:
    """What is reachable from one root and its manifest."""

    def __init__(self, stored: StoredTree, manifest: bytes) -> None:
        self.trees = {stored.tree.root: stored}
        self.files: dict[Cid, StoredFile] = {}
        self.nodes: dict[Cid, bytes] = {**blocks_of(manifest), **stored.tree.nodes}
        self.leaves: dict[Cid, tuple[StoredFile, int]] = {}
        for file in stored.files.values():
            self.files[file.layout.cid] = file
            self.nodes.update(file.layout.nodes)
            for index, digest in enumerate(file.layout.leaves):
                self.leaves[Cid.from_digest(RAW, digest)] = file, index


def read_shelf(store: Store, digest: str, root: Cid, manifest_cid: Cid) -> Shelf:
    """Read a model's records from the store; raise StoreCorrupted when it is not whole. Blocking.

    Of a tree that is named by CID alone the nodes above its leaves are there too: they tell a peer what the bytes must be.
    """
    manifest = store.get_manifest(manifest_cid)
    if manifest is None:
        raise StoreCorrupted(f"manifest {manifest_cid} is not in the store", paths=())
    files: dict[str, StoredFile] = {}
    for entry in manifest.files:
        record = store.claimed(manifest.repo, entry.hub)  # leaves are checked when they are read
        if record is None:
            raise StoreCorrupted(f"{manifest.repo}: {entry.hub.path} is not in the store", paths=(entry.hub.path,))
        files[entry.hub.path] = StoredFile(record.layout, entry.hub.path, store.blob(manifest.repo, entry.hub))
    tree = layout_tree({path: file.layout for path, file in files.items()})
    is_tree = manifest.repo == tree_repo(root)
    if tree.root != (manifest.root if is_tree else root):
        raise StoreCorrupted(f"{manifest.repo}: the files give {tree.root}, not {root}", paths=())
    shelf = Shelf(StoredTree(tree, files), manifest.encode())
    if is_tree:
        shelf.nodes.update(TreeRecords(store, digest).all_nodes())
    return shelf


class WrongOnDisk(Exception):
    """A leaf that no longer hashes to its address."""

    def __init__(self, path: str, block: int) -> None:
        super().__init__(f"{path}, block {block}")
        self.path, self.block = path, block


class Library:
    """The shelves by source digest."""

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}

    def put(self, digest: str, shelf: Shelf) -> None:
        """Serve a model from now on."""
        self._shelves[digest] = shelf

    def remove(self, digest: str) -> None:
        """Serve a model no more."""
        self._shelves.pop(digest, None)

    def tree(self, cid: Cid) -> StoredTree | None:
        """Return a model by its root."""
        return next((shelf.trees[cid] for shelf in self._shelves.values() if cid in shelf.trees), None)

    def file(self, cid: Cid) -> StoredFile | None:
        """Return a file by its CID."""
        return next((shelf.files[cid] for shelf in self._shelves.values() if cid in shelf.files), None)

    def block(self, cid: Cid) -> bytes | None:
        """Return a block, checked, or None when it belongs to nothing that is served; raise WrongOnDisk. Blocking."""
        for shelf in self._shelves.values():
            if node := shelf.nodes.get(cid):
                return node
            if found := shelf.leaves.get(cid):
                return _leaf(cid, *found)
        return None

    def block_size(self, cid: Cid) -> int | None:
        """Return a block's size without reading it."""
        for shelf in self._shelves.values():
            if node := shelf.nodes.get(cid):
                return len(node)
            if found := shelf.leaves.get(cid):
                return found[0].layout.leaf_size(found[1])
        return None


def _leaf(cid: Cid, file: StoredFile, index: int) -> bytes:
    with file.blob.open("rb") as stream:
        stream.seek(index * CHUNK)
        data = stream.read(file.layout.leaf_size(index))
    if hashlib.sha256(data).digest() != cid.digest:
        raise WrongOnDisk(file.path, index)
    return data
