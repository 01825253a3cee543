"""A model in a folder of one's own: nothing is fetched, nothing is copied, and it has the CID that it has anywhere."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from huggingface_hub.utils import DEFAULT_IGNORE_PATTERNS  # type: ignore[attr-defined]  # public, but not marked as exported

from ..backends.base import Backend, Receipt
from ..backends.breaker import BreakerSettings, CircuitState
from ..content.cid import Cid
from ..content.tree import list_directory
from ..content.unixfs import FileHasher, FileLayout, TreeLayout, layout_files, layout_tree
from ..errors import CidMismatch, DigestMismatch, StoreInaccessible, UnreadableSource
from ..hub import adapters, quantization, weight_index
from ..hub.listing import HubFile, Listing, select
from ..hub.manifest import Manifest, ManifestFile
from ..hub.selection import INDEX
from ..hub.trees import tree_file
from ..progress import Progress, ProgressMeter
from ..routing.router import Router
from ..store.files import write_atomically
from .pinning import bring_car, confirm, missing_pins, pin_everywhere
from .request import PinReceipt
from .view import make_view, remove_view

_READ = 1024 * 1024
_MAX_THREADS = 4  # each file is hashed twice from front to back; weights come in several files where they are large
_UNKNOWN_OID = "0" * 40


@dataclass(frozen=True, slots=True)
class FolderSnapshot:
    """The chosen files of a folder, hashed; `path` shows them and nothing else, as links."""

    path: Path
    cid: Cid
    manifest_cid: Cid
    size_bytes: int
    file_count: int
    files: Mapping[str, Path]  # where each lies, by path in the model
    tree: TreeLayout
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class FolderChoice:
    """A folder, and which of its files are meant: patterns as for a repository."""

    folder: Path
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()


def list_folder(choice: FolderChoice) -> tuple[Listing, Mapping[str, Path]]:
    """Choose the files as those of a repository are chosen, and return where each lies; their oids are not known yet.

    What the hub's own uploader leaves out (`.git/`, `.cache/huggingface/`) is no part of a model. Links are followed. Raises
    UnreadableSource, UnsupportedDag, StoreInaccessible, SourceNotFound when nothing is left.
    """
    folder = choice.folder
    try:
        found = list_directory(folder, skip=_is_no_part).files
        sizes = {path: file.stat().st_size for path, file in found.items()}
        base = adapters.base_in_config(_head(found.get(adapters.CONFIG)))
        quantized = quantization.in_config(_head(found.get(quantization.CONFIG)))
        named = weight_index.files_in_index(_head(found.get(INDEX), weight_index.LARGEST))
    except OSError as error:
        raise _inaccessible(folder, error) from error
    files = [HubFile(path, size, _UNKNOWN_OID) for path, size in sizes.items()]
    listing = select(
        files, allow_patterns=choice.allow_patterns, ignore_patterns=choice.ignore_patterns, where=f"the folder {folder}"
    )
    # Nobody has announced these files, so there is no digest to compare with.
    chosen = replace(listing, source_digest="", base_model=base, quantization=quantized, indexed=named)
    return chosen, {file.path: found[file.path] for file in chosen.files}


class FolderFetcher:
    """Hashes a folder in place, verifies it again and pins it. `on_progress` may be called from a worker thread.

    The manifest is kept in `records` where that can be written.
    """

    def __init__(
        self,
        choice: FolderChoice,
        backends: Sequence[Backend] = (),
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_operation: Callable[[Receipt], None] = lambda receipt: None,
        *,
        breakers: Mapping[str, BreakerSettings] | None = None,
        records: Path | None = None,
    ) -> None:
        self._choice, self._records = choice, records
        self._just_hashed: FolderSnapshot | None = None
        self._router = Router(backends, on_operation, breakers=breakers)
        self._on_progress, self._on_operation = on_progress, on_operation
        self._view: Path | None = None

    async def resolve(self) -> Listing:
        """Return the files that are meant; raises as list_folder does."""
        listing, _ = await asyncio.to_thread(list_folder, self._choice)
        return listing

    async def fetch(self, expected: Cid | None = None) -> FolderSnapshot:
        """Hash the files where they lie; raise CidMismatch when these are not the expected ones."""
        snapshot = await asyncio.to_thread(self._hash)
        if expected and expected != snapshot.cid:
            raise CidMismatch(str(self._choice.folder), expected=expected, actual=snapshot.cid)
        if self._records is not None:
            await asyncio.to_thread(_keep, self._records / f"{snapshot.manifest_cid}.json", snapshot.manifest.encode())
        self._just_hashed = snapshot
        return snapshot

    async def verify(self, snapshot: FolderSnapshot) -> FolderSnapshot:
        """Read every file again; raise DigestMismatch that names what has changed since it was hashed.

        Right after the files were hashed nothing is read: it would be the same bytes.
        """
        if self._just_hashed is snapshot:
            self._just_hashed = None
            return snapshot
        await asyncio.to_thread(self._compare, snapshot)
        return snapshot

    async def pin(self, snapshot: FolderSnapshot) -> PinReceipt:
        """Pin in every backend that can; one confirmed pin is enough. Raises PinFailed when none confirms."""
        bring, manifest = bring_car(snapshot, snapshot.tree), snapshot.manifest.encode()
        pins = await pin_everywhere(self._router, snapshot.cid, bring, snapshot.manifest_cid, manifest, self._on_operation)
        return await confirm(snapshot, pins, lambda: self.verify(snapshot))

    async def missing_pins(self, snapshot: FolderSnapshot) -> tuple[str, ...]:
        """Return the backends that could pin the snapshot, answer, and have not."""
        return await missing_pins(self._router, {snapshot.cid, snapshot.manifest_cid})

    def circuits(self) -> dict[str, CircuitState]:
        """Return the state of each backend's circuit by name."""
        return self._router.circuits()

    async def close(self) -> None:
        """Release connections, and take the links away."""
        await self._router.close()
        self._forget_view()

    def _hash(self) -> FolderSnapshot:
        listing, places = list_folder(self._choice)
        meter = ProgressMeter(listing.total_bytes, self._on_progress)

        def read(count: int) -> None:
            with counting:
                meter.add("Store", "folder", count)

        def record(file: HubFile) -> ManifestFile:
            layout, sha256 = _hash_file(places[file.path], read)
            layouts[file.path] = layout
            return ManifestFile(tree_file(file.path, layout.size, sha256), sha256, layout.cid)

        layouts: dict[str, FileLayout] = {}
        counting = Lock()
        try:
            with ThreadPoolExecutor(_MAX_THREADS, "pinion-folder") as pool:
                entries = tuple(pool.map(record, listing.files))
            tree = layout_tree(layouts)
            manifest = Manifest.of_tree(tree.root, entries)
            manifest_cid = manifest.cid
            path = self._show(places)
        except OSError as error:
            raise _inaccessible(self._choice.folder, error) from error
        meter.publish()
        return FolderSnapshot(path, tree.root, manifest_cid, tree.size, len(entries), places, tree, manifest)

    def _compare(self, snapshot: FolderSnapshot) -> None:
        names = list(snapshot.files)
        try:
            layouts = layout_files([snapshot.files[name] for name in names])
        except OSError as error:
            raise _inaccessible(self._choice.folder, error) from error
        changed = [name for name, layout in zip(names, layouts, strict=True) if layout.cid != snapshot.tree.files[name].cid]
        if changed:
            shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
            raise DigestMismatch(
                f"{self._choice.folder}: changed while it was being loaded: {shown}", source="folder", path=changed[0]
            )

    def _show(self, places: Mapping[str, Path]) -> Path:
        """Make a private folder of links to the chosen files: what was left out can't be loaded by accident."""
        self._forget_view()
        self._view = make_view(places)
        return self._view

    def _forget_view(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            remove_view(view)


def _is_no_part(path: str) -> bool:
    return any(path == pattern or path.endswith(f"/{pattern}") for pattern in DEFAULT_IGNORE_PATTERNS)


def _head(path: Path | None, most: int = _READ) -> bytes:
    """Return what a small file holds, empty where there is none."""
    if path is None:
        return b""
    with path.open("rb") as stream:
        return stream.read(most)


def _hash_file(path: Path, on_bytes: Callable[[int], None]) -> tuple[FileLayout, str]:
    """Return a file's layout and the sha256 (hex) of it whole; raise UnreadableSource when it changes meanwhile."""
    layout, sha256 = FileHasher(), hashlib.sha256()
    buffer = memoryview(bytearray(_READ))
    with path.open("rb", buffering=0) as stream:
        before = os.fstat(stream.fileno())
        while count := stream.readinto(buffer):
            layout.update(buffer[:count])
            sha256.update(buffer[:count])
            on_bytes(count)
        after = os.fstat(stream.fileno())
    done = layout.finish()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or done.size != after.st_size:
        raise UnreadableSource(f"{path}: changed while it was read")
    return done, sha256.hexdigest()


def _keep(path: Path, manifest: bytes) -> None:
    with suppress(OSError):  # a cache that can't be written: the model is served all the same
        write_atomically(path, manifest)


def _inaccessible(folder: Path, error: OSError) -> StoreInaccessible:
    return StoreInaccessible(f"{error.filename or folder}: {error.strerror or error}")
