"""A model by its CID into a folder: from the store, else from backends; it appears when it is whole, or not at all."""

import asyncio
import errno
import os
import shutil
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from threading import Event
from typing import cast

from ..backends.base import Attempt, Receipt
from ..content.cid import Cid
from ..content.compare import Difference, LocalTree, differences
from ..content.tree import Listing, list_directory
from ..content.unixfs import FileLayout, layout_files, layout_tree
from ..errors import ContentError, ContentMissing, DigestMismatch
from ..functions.operations import get_to_path
from ..functions.receipts import Gathered, collecting, tell
from ..hub.manifest import Manifest, ManifestFile
from ..routing.router import Router
from ..store import Store
from ..store.files import partial_name
from ..store.trees import copy_hashing
from ..threads import finish_in_thread
from .catalogue import manifests_of
from .models import RetrievedModel

STORE, TARGET = "store", "target"
_OPERATION = "retrieve"


async def retrieve_model(router: Router, store: Store, cid: Cid, target: Path, receipts: Sequence[Receipt]) -> RetrievedModel:
    """Lay a model out; a target that holds exactly it is left as it is, any other that is not empty is refused.

    `receipts` are those that this call's router has told by now; the last one says which backends served.
    Raises FileExistsError, FileNotFoundError for a folder above that is not there, and what backends raise.
    """
    if (here := await _found_there(router, cid, target)) is not None:
        return RetrievedModel(str(cid), target, *here, TARGET)
    built = partial_name(target)
    try:
        if not (served_by := await _from_store(store, cid, built)):
            await get_to_path(router, cid, built)
            served_by = receipts[-1].backend
        await finish_in_thread(_publish, built, target)
        files, size = await asyncio.to_thread(_measure, target)  # by its own name: a file has that of its place
    finally:
        await asyncio.to_thread(_remove, built)
    return RetrievedModel(str(cid), target, files, size, served_by)


async def _from_store(store: Store, cid: Cid, built: Path) -> str:
    """Return "store" when the model was copied from there; what is wrong there is taken out, and told in a receipt."""
    attempts: list[Attempt] = []
    started, stop = time.monotonic(), Event()
    try:
        for _, manifest in await asyncio.to_thread(lambda: list(manifests_of(store, cid))):
            begun = time.monotonic()
            try:
                await asyncio.to_thread(_copy, store, manifest, cid, built, stop)
            except ContentError as error:
                attempts.append(Attempt(STORE, str(error), type(error).__name__, time.monotonic() - begun))
                continue
            size, seconds = manifest.listing.total_bytes, time.monotonic() - started
            tell(Receipt(_OPERATION, STORE, STORE, seconds, size, str(cid), tuple(attempts)))
            return STORE
    finally:
        stop.set()  # the thread may outlive who waited for it
    if attempts:
        told = "; ".join(attempt.error for attempt in attempts)
        tell(Receipt(_OPERATION, "", STORE, time.monotonic() - started, 0, str(cid), tuple(attempts), told))
    return ""


def _copy(store: Store, manifest: Manifest, root: Cid, built: Path, stop: Event) -> None:
    """Copy a model out of the store, each file hashed meanwhile; leave nothing when one is not what it should be."""
    try:
        with store.uses.of_repository(manifest.repo.folder):  # no collection takes it meanwhile
            layouts = {entry.hub.path: _copy_file(store, manifest, entry, built, stop) for entry in manifest.files}
        tree = layout_tree(layouts)
        _check(tree.root == root, f"{manifest.repo}: the files give {tree.root}, not {root}")
    except BaseException:
        _remove(built)
        raise


def _copy_file(store: Store, manifest: Manifest, entry: ManifestFile, built: Path, stop: Event) -> FileLayout:
    blob, place = store.blob(manifest.repo, entry.hub), built / entry.hub.path
    if not blob.is_file():
        raise ContentMissing(f"{manifest.repo}: {entry.hub.path} is not in the store")
    place.parent.mkdir(parents=True, exist_ok=True)
    layout, _ = copy_hashing(blob, place, lambda count: None, stop)
    if layout.cid != entry.cid:
        store.verify_blobs(manifest.repo, [entry.hub])  # raises, and takes it out where it can
    _check(layout.cid == entry.cid, f"{manifest.repo}: {entry.hub.path} is not what was stored")
    return layout


def _check(right: bool, problem: str) -> None:
    if not right:
        raise DigestMismatch(problem, source=STORE)


async def _found_there(router: Router, cid: Cid, target: Path) -> tuple[tuple[str, ...], int] | None:
    """Return the files and bytes of a target that holds the model; None for one to be written; raise FileExistsError."""
    if (there := await asyncio.to_thread(_read_target, cid, target)) is None:
        return None
    found, tree = there
    if found != cid and not await _is_same(router, cid, tree):
        raise FileExistsError(errno.EEXIST, f"it is there, and holds {found}, not {cid}", str(target))
    return await asyncio.to_thread(_measure, target)


def _read_target(cid: Cid, target: Path) -> tuple[Cid, LocalTree] | None:
    """Return a target's CID under the profile, and what lies there; None for one to be written; raise FileExistsError."""
    target.parent.stat()
    if not os.path.lexists(target):
        return None
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return None
    try:
        listing = list_directory(target) if target.is_dir() else Listing({"": target})
        layouts = dict(zip(listing.files, layout_files(list(listing.files.values())), strict=True))
        found = layouts[""].cid if "" in layouts else layout_tree(layouts, listing.directories).root
    except (OSError, ContentError) as error:
        raise FileExistsError(errno.EEXIST, f"it is there, and can't be compared with {cid}: {error}", str(target)) from error
    return found, LocalTree(listing.files, layouts, frozenset(listing.directories))


async def _is_same(router: Router, cid: Cid, tree: LocalTree) -> bool:
    """Tell whether a target holds the bytes of a model of another layout than the profile's, by its nodes in backends."""
    gathered = Gathered(_OPERATION, cid)

    async def block_get(wanted: Cid) -> bytes:
        with collecting(gathered.take):
            return await router.block_get(wanted)

    try:
        with gathered.told():
            async with aclosing(cast("AsyncGenerator[Difference]", differences(cid, tree, block_get))) as different:
                return not [each async for each in different]
    except (OSError, ContentError):  # nobody can tell
        return False


def _measure(path: Path) -> tuple[tuple[str, ...], int]:
    if not path.is_dir():
        return (path.name,), path.stat().st_size
    files = sorted(below.relative_to(path).as_posix() for below in path.rglob("*") if below.is_file())
    return tuple(files), sum((path / name).stat().st_size for name in files)


def _publish(built: Path, target: Path) -> None:
    """Rename; an empty folder gives way, and nothing else does."""
    if os.path.lexists(target):
        target.rmdir()
    built.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
