"""Files of one's own into the store, as the tree that they are: repository `ipfs/<root CID>`, as `hub.trees` names it.

Each file is copied once and hashed meanwhile; what is published afterwards is what was hashed, whatever becomes of the source.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from ..content.cid import Cid
from ..content.unixfs import FileHasher, FileLayout, TreeLayout, layout_tree
from ..errors import InsufficientStorage, StorageFilled, StoreInaccessible, UnreadableSource
from ..hub.manifest import Manifest, ManifestFile
from ..hub.trees import tree_file
from .blobs import BlobRecord
from .files import partial_name
from .store import Store

_READ = 1024 * 1024
_MAX_THREADS = 4
_CLONE = 0x40049409  # FICLONE of Linux: the copy shares its bytes with the source until one of them is written
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class StoredTree:
    """A tree in the store: its snapshot folder, and each file's blob by path."""

    path: Path
    tree: TreeLayout
    manifest: Manifest
    manifest_cid: Cid
    files: Mapping[str, Path]

    @property
    def cid(self) -> Cid:
        """Return the CID of the files."""
        return self.tree.root


def store_files(store: Store, places: Mapping[str, Path], on_bytes: Callable[[int], None] = lambda count: None) -> StoredTree:
    """Copy files, by their paths in the tree, into the store; lay the tree out there and keep its manifest. Blocking.

    The snapshot appears when every blob is there. Raise InsufficientStorage, UnreadableSource for a file that changes
    meanwhile, StoreInaccessible, UnsupportedDag. `on_bytes` is called in threads.
    """
    sizes = {path: _size_of(place) for path, place in places.items()}
    what, needed = f"{len(places)} files into {store.cache_dir}", sum(sizes.values())
    if not store.writable:
        raise StoreInaccessible(f"{store.hf_home} can't be written by user {os.geteuid()}")
    try:
        if not store.has_room(needed):
            raise InsufficientStorage(what, needed_bytes=needed, available_bytes=store.free_bytes())
        with store.staging_session():
            return _store(store, places, on_bytes)
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFilled(what, needed_bytes=needed, available_bytes=store.free_bytes()) from error
        raise StoreInaccessible(f"{error.filename or store.cache_dir}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Copy:
    staged: Path
    layout: FileLayout
    sha256: str


def _store(store: Store, places: Mapping[str, Path], on_bytes: Callable[[int], None]) -> StoredTree:
    copies = _copy_all(store, places, on_bytes)
    try:
        return _publish(store, copies)
    finally:
        for copy in copies.values():
            copy.staged.unlink(missing_ok=True)


def _copy_all(store: Store, places: Mapping[str, Path], on_bytes: Callable[[int], None]) -> dict[str, _Copy]:
    """Copy all, or leave nothing behind."""
    staged = {path: partial_name(store.staging / "tree") for path in places}
    stop = Event()
    try:
        with ThreadPoolExecutor(_MAX_THREADS, "pinion-tree") as pool:
            futures = {path: pool.submit(copy_hashing, place, staged[path], on_bytes, stop) for path, place in places.items()}
            try:
                for done in as_completed(futures.values()):
                    done.result()  # the first error is the one to tell: those after it may come of stopping
            except BaseException:
                stop.set()
                raise
        return {path: _Copy(staged[path], *future.result()) for path, future in futures.items()}
    except BaseException:
        for partial in staged.values():
            partial.unlink(missing_ok=True)
        raise


def _publish(store: Store, copies: Mapping[str, _Copy]) -> StoredTree:
    tree = layout_tree({path: copy.layout for path, copy in copies.items()})
    ordered = sorted(copies.items())
    entries = tuple(
        ManifestFile(tree_file(path, copy.layout.size, copy.sha256), copy.sha256, copy.layout.cid) for path, copy in ordered
    )
    manifest = Manifest.of_tree(tree.root, entries)
    files = [entry.hub for entry in entries]
    store.check_names(files)
    with store.uses.of_repository(manifest.repo.folder):
        for file in files:
            copy = copies[file.path]  # also in place of one that is there: it may have been damaged
            store.publish(manifest.repo, file, copy.staged, BlobRecord(copy.layout, copy.sha256))
        manifest_cid = store.put_manifest(manifest)
        path = store.link_snapshot(manifest.repo, manifest.commit, files)
    return StoredTree(path, tree, manifest, manifest_cid, {file.path: store.blob(manifest.repo, file) for file in files})


def copy_hashing(source: Path, target: Path, on_bytes: Callable[[int], None], stop: Event) -> tuple[FileLayout, str]:
    """Make `target` a copy of a file; return its layout and the sha256 (hex) of it whole. Nothing is read when `stop` is set.

    Where the filesystem shares bytes between files, no byte is written. Raise UnreadableSource when the source changes
    meanwhile.
    """
    layout, sha256 = FileHasher(), hashlib.sha256()
    buffer = memoryview(bytearray(_READ))
    with source.open("rb", buffering=0) as reading, target.open("x+b", buffering=0) as writing:
        before = os.fstat(reading.fileno())
        cloned = _clone(reading.fileno(), writing.fileno())
        origin = writing if cloned else reading
        # One that grows might have no end.
        while not stop.is_set() and layout.size <= before.st_size and (count := origin.readinto(buffer)):
            piece = buffer[:count]
            layout.update(piece)
            sha256.update(piece)
            if not cloned:
                _write_all(writing.fileno(), piece)
            on_bytes(count)
        after = os.fstat(reading.fileno())
    done = layout.finish()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or done.size != after.st_size:
        raise UnreadableSource(f"{source}: changed while it was copied")
    return done, sha256.hexdigest()


def _clone(source: int, target: int) -> bool:
    with suppress(OSError):  # another filesystem, or one that copies
        fcntl.ioctl(target, _CLONE, source)
        return True
    return False


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _size_of(place: Path) -> int:
    try:
        return place.stat().st_size
    except OSError as error:
        raise UnreadableSource(f"{place}: {error.strerror}") from error
