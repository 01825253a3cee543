"""Models into the store, from a path or from the hub, and pinned in every backend of a router; and given up again."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import constants, get_token, is_offline_mode

from ..backends.base import Backend, Capability
from ..errors import ContentError, ContentMissing, PinFailed, ReplicationFailed, StoreInaccessible, UnsupportedDag
from ..fetching.fetcher import Fetcher
from ..fetching.folder import FolderChoice, list_folder
from ..fetching.request import FetchRequest, Snapshot
from ..functions.receipts import tell
from ..hub.identity import RepoId
from ..hub.revisions import resolve_commit
from ..program.arguments import UsageError, token_problem
from ..routing.kubo import KuboEither
from ..routing.places import count_places
from ..routing.router import Router
from ..store import Note, PinRecord, Store
from ..store.in_use import in_use
from ..store.offline import find_commit
from ..store.trees import store_files
from ..threads import finish_in_thread
from .catalogue import find_record, model_of, others_of, owner_of
from .found import Found, look, read_found, write_found
from .models import RemovedModel, StoredModel

MAIN = "main"


@dataclass(frozen=True, slots=True)
class Source:
    """What to store: a folder or a file, or a repository at a revision; patterns choose files as in a fetch."""

    what: Path | RepoId
    revision: str = MAIN
    endpoint: str = ""
    token: str = ""
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()


async def store_model(router: Router, store: Store, source: Source, note: Note | None, least: int) -> StoredModel:
    """Bring a model into the store and pin it in every backend that can; without a note, one that it has is kept.

    Raises PinFailed when there are backends and none confirms; the model is then in the store, and kept for nobody.
    ReplicationFailed when fewer than `least` do, of several that are wanted: these keep it, and its record.
    """
    if not await asyncio.to_thread(lambda: store.writable):
        raise StoreInaccessible(f"{store.hf_home} can't be written by user {os.geteuid()}: nothing can be kept there")
    fetcher = Fetcher(store, router.backends, on_operation=tell)  # not closed: the backends are the router's
    try:
        if isinstance(source.what, Path):
            snapshot = await asyncio.to_thread(_from_path, store, source.what, source)
        else:
            snapshot = await _from_hub(fetcher, store, source.what, source)
        async with in_use(store.uses.of_repository(snapshot.repo.folder)):  # no collection takes it before it is pinned
            stored = await _pin(router, fetcher, store, snapshot, note)
    finally:
        fetcher.release()
    keeping = [backend for backend in router.able(Capability.WRITE, Capability.PIN) if backend.name in stored.backends]
    apart = len(stored.backends) - len(keeping) + await asyncio.to_thread(count_places, keeping)
    if apart < least and least > 1:
        failed = [f"{pin.backend}: {pin.error}" for pin in stored.pins if not pin.pinned]
        told = "; ".join((f"{apart} of at least {least} backends keep it", *failed))
        raise ReplicationFailed(f"{stored.cid}: {told}", pinned_in=stored.backends)
    return stored


async def _pin(router: Router, fetcher: Fetcher, store: Store, snapshot: Snapshot, note: Note | None) -> StoredModel:
    owner, cids = owner_of(snapshot.cid), frozenset((snapshot.cid, snapshot.manifest_cid))
    before = await asyncio.to_thread(store.pins.get, owner)
    found = await asyncio.to_thread(read_found, store, snapshot.cid)
    ours = before.backends if before is not None else ()
    pinned = await look(router.able(Capability.WRITE, Capability.PIN), cids)
    looked = {name: cids if has is None else has for name, has in pinned.items() if name not in ours}
    # Before the pins: what ends in between leaves a pin of ours rather than take one of others away.
    await asyncio.to_thread(write_found, store, snapshot.cid, {**found, **looked})
    try:
        receipt = await fetcher.pin(replace(snapshot, request=replace(snapshot.request, owner=owner)))
    except BaseException:
        write_found(store, snapshot.cid, found)
        raise
    # Where it was pinned by another call it still is, unless that was seen to be gone.
    kept = [name for name in ours if (has := pinned.get(name)) is None or snapshot.cid in has]
    backends = tuple(dict.fromkeys((*kept, *receipt.pinned_in)))
    was_there = {name: found.get(name, frozenset()) if name in ours else looked.get(name, cids) for name in backends}
    await asyncio.to_thread(write_found, store, snapshot.cid, was_there)
    said = before.note if note is None and before is not None else note or Note()
    record = PinRecord(owner, snapshot.cid, snapshot.manifest_cid, snapshot.repo, snapshot.commit, backends, said)
    await finish_in_thread(store.pin, record)
    return replace(await asyncio.to_thread(model_of, store, [record]), pins=receipt.pins)


async def remove_model(router: Router, store: Store, which: str, *, force: bool) -> RemovedModel:
    """Forget the manager's record of a model, and give its pins up where nobody else keeps it here.

    A pin that was there before stays. Raise PinFailed, with a record of where it is still pinned, when a backend that has the
    pin can't be asked; with `force` it is forgotten all the same. Raise ContentMissing for what the manager does not keep.
    """
    record = await asyncio.to_thread(find_record, store, which)
    others = await asyncio.to_thread(others_of, store, record)
    found = await asyncio.to_thread(read_found, store, record.cid)
    failed: dict[str, str] = {} if others else await _unpin(router, record, found)
    left = tuple(name for name in record.backends if record.cid in found.get(name, ()))
    unpinned = () if others else tuple(name for name in record.backends if name not in failed and name not in left)
    if failed and not force:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        gone = f"; given up in {', '.join(unpinned)}" if unpinned else ""
        still = tuple(name for name in record.backends if name in failed or name in left)
        await asyncio.to_thread(store.pin, replace(record, backends=still))
        raise PinFailed(f"{record.cid}: still pinned: {told}{gone}; force=True forgets the model all the same")
    model = await asyncio.to_thread(model_of, store, [record])
    await asyncio.to_thread(store.unpin, record.owner)
    await asyncio.to_thread(write_found, store, record.cid, {})
    return RemovedModel(model.cid, model.name, unpinned, tuple(failed), others, model.size_bytes, left)


async def _unpin(router: Router, record: PinRecord, found: Found) -> dict[str, str]:
    """Give up what was not pinned before; return why backends could not be asked."""
    failed: dict[str, str] = {}
    for name in record.backends:
        ours = [cid for cid in (record.cid, record.manifest_cid) if cid not in found.get(name, ())]
        if not ours:
            continue
        backend = _holder(router.able(Capability.PIN), name)
        if backend is None:
            failed[name] = "not among the backends of this call"
            continue
        try:
            for cid in ours:
                await backend.unpin(cid)
        except ContentMissing:
            continue  # it has lost the pin already
        except ContentError as error:
            failed[name] = str(error)
    return failed


def _holder(able: Sequence[Backend], name: str) -> Backend | None:
    """Return the backend that a record names; of a Kubo that is reached in two ways the one that made the pin."""
    for backend in able:
        found = backend.way_of(name) if isinstance(backend, KuboEither) else backend
        if found is not None and found.name == name:
            return found
    return None


def _from_path(store: Store, path: Path, source: Source) -> Snapshot:
    if path.is_dir():
        _, places = list_folder(FolderChoice(path, source.allow_patterns, source.ignore_patterns))
    else:
        if source.allow_patterns or source.ignore_patterns:
            raise UsageError(f"{path} is a file: patterns choose among those of a folder")
        places = {path.name: path}
    stored = store_files(store, places)
    manifest = stored.manifest
    request = FetchRequest(manifest.repo, MAIN, manifest.commit, offline=True)
    sizes = [file.size for file in manifest.listing.files]
    identity = (stored.path, manifest.repo, manifest.commit, stored.cid, stored.manifest_cid)
    return Snapshot(*identity, sum(sizes), len(sizes), stored.files, request)


async def _from_hub(fetcher: Fetcher, store: Store, repo: RepoId, source: Source) -> Snapshot:
    """Fetch as `pinion-ipfs fetch` does; offline what is whole in the store, and what nobody has confirmed is refused."""
    offline = is_offline_mode()
    if offline:
        commit = await asyncio.to_thread(find_commit, store, repo, source.revision)
        token = ""
    else:
        token = source.token or _own_token(source.endpoint)
        commit = await resolve_commit(repo, source.revision, endpoint=source.endpoint, token=token)
    request = FetchRequest(
        *(repo, source.revision, commit, source.endpoint, token, source.allow_patterns, source.ignore_patterns),
        offline=offline,
    )
    listing = await fetcher.resolve(request)
    if listing.unconfirmed:
        raise UnsupportedDag(f"{repo}@{commit}: {listing.unconfirmed}: store it while the hub can be asked")
    return await fetcher.verify(await fetcher.fetch(request, listing))


def _own_token(endpoint: str) -> str:
    """Return the token stored on this machine: it is for the user's own hub, not for an endpoint that a call names."""
    token = "" if endpoint or constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token() or ""
    if token and (problem := token_problem(token)):
        raise UsageError(f"the token in HF_TOKEN, or the one that `hf auth login` stored: {problem}")
    return token


def as_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return patterns as a tuple; raise TypeError for one str."""
    if isinstance(patterns, str):
        raise TypeError("patterns: a sequence of str, not one str")
    return tuple(patterns)
