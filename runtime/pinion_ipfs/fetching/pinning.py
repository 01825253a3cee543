"""Bringing a snapshot into a backend that pins: import what is missing, ask whether it is whole, pin, and believe only that."""

import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Set
from typing import Protocol, runtime_checkable

from ..backends.base import Attempt, Backend, Capability, CarSource, Receipt
from ..content.car import car_size, car_stream
from ..content.cid import Cid
from ..content.unixfs import TreeLayout
from ..errors import ContentError, ContentMissing, PinFailed, UnreadableSource
from ..hub.identity import Commit, RepoId
from ..hub.manifest import blocks_of
from ..routing.router import Router
from ..store import Note, PinRecord, Store
from ..threads import in_thread
from .request import BackendPin, OpenSnapshot, PinReceipt

Bring = Callable[[Backend], Awaitable[int]]  # brings a DAG into a backend, and returns the bytes that were sent


class StoredSnapshot(OpenSnapshot, Protocol):
    """A snapshot that lies in a store, by the names that it has there."""

    @property
    def repo(self) -> RepoId:
        """Return the repository."""

    @property
    def commit(self) -> Commit:
        """Return the commit."""


@runtime_checkable
class _Keeping(Protocol):
    """A backend that can keep collections of garbage away while something is brought and pinned; a Kubo can't."""

    def keeping(self, manifest: bytes) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold what is there, and what comes, with the repository of the manifest."""


def bring_car(snapshot: OpenSnapshot, tree: TreeLayout) -> Bring:
    """Return what brings a snapshot on disk, laid out as `tree`, in one stream."""
    car = car_source(snapshot, tree)
    return lambda backend: backend.dag_import(car)


def car_source(snapshot: OpenSnapshot, tree: TreeLayout) -> CarSource:
    """Return the CAR of a snapshot on disk."""

    def open_car() -> AsyncGenerator[bytes, None]:
        return in_thread(lambda: car_stream(tree, lambda path: snapshot.files[path].open("rb")))

    return CarSource(tree, car_size(tree), open_car)


async def pin_everywhere(
    router: Router, root: Cid, bring: Bring, manifest_cid: Cid, manifest: bytes, on_operation: Callable[[Receipt], None]
) -> tuple[BackendPin, ...]:
    """Pin a snapshot and its manifest in every backend that can; the results tell of failures, in the backends' order.

    A backend that has the DAG `root` pins it as it is; `bring` is for those that lack any of it.
    """
    pins: list[BackendPin] = []
    for backend in router.able(Capability.WRITE, Capability.PIN):
        if router.passes_over(backend):
            pins.append(BackendPin(backend.name, False, error="failed too often lately"))
            continue
        pin = await pin_in(backend, root, bring, manifest_cid, manifest, on_operation)
        router.note(backend, None if pin.pinned else PinFailed(pin.error))
        pins.append(pin)
    return tuple(pins)


async def confirm(snapshot: OpenSnapshot, pins: tuple[BackendPin, ...], verify: Callable[[], Awaitable[object]]) -> PinReceipt:
    """Return where a snapshot is pinned; one confirmed pin is enough.

    Raise PinFailed when no backend confirms, and what `verify` raises when one found our own files unreadable.
    """
    if any(pin.kind == UnreadableSource.__name__ for pin in pins):
        await verify()
    receipt = PinReceipt(snapshot.cid, snapshot.manifest_cid, pins)
    if pins and not receipt.pinned_in:
        raise PinFailed(f"{snapshot.cid}: " + "; ".join(f"{pin.backend}: {pin.error}" for pin in pins))
    return receipt


def keep_record(store: Store, owner: str, snapshot: StoredSnapshot, receipt: PinReceipt) -> None:
    """Write an owner's pin record; backends that an earlier one names for the same CID stay in it, with its note. Blocking."""
    before = store.pins.get(owner)
    kept = before if before is not None and before.cid == snapshot.cid else None
    backends = tuple(dict.fromkeys((*(kept.backends if kept else ()), *receipt.pinned_in)))
    identity = (owner, snapshot.cid, snapshot.manifest_cid, snapshot.repo, snapshot.commit)
    store.pin(PinRecord(*identity, backends, kept.note if kept else Note()))


async def missing_pins(router: Router, cids: Set[Cid]) -> tuple[str, ...]:
    """Return the backends that could pin these, answer, and have not; one that does not answer may have them."""
    missing: list[str] = []
    for backend in router.able(Capability.WRITE, Capability.PIN):
        with contextlib.suppress(ContentError):
            if not cids <= await backend.pin_ls():
                missing.append(backend.name)
    return tuple(missing)


async def pin_in(
    backend: Backend, root: Cid, bring: Bring, manifest_cid: Cid, manifest: bytes, on_operation: Callable[[Receipt], None]
) -> BackendPin:
    """Pin a snapshot and its manifest in one backend; the result tells of failure, nothing is raised for it."""
    started = time.monotonic()
    imported = 0
    try:
        pinned = {root, manifest_cid} <= await backend.pin_ls()
        if not pinned or not await _whole(backend, manifest_cid) or not await _whole(backend, root):
            async with backend.keeping(manifest) if isinstance(backend, _Keeping) else contextlib.nullcontext():
                for cid, block in blocks_of(manifest).items():  # first: it tells a cache where the files belong
                    await backend.block_put(block, codec=cid.codec)
                if not await _whole(backend, root):
                    imported = await bring(backend)
                    await backend.stat(root)  # the answer to an import tells nothing: only a walk of what is there does
                await backend.pin(root)
                await backend.pin(manifest_cid)
    except ContentError as error:
        seconds = time.monotonic() - started
        attempt = Attempt(backend.name, str(error), type(error).__name__, seconds)
        on_operation(Receipt("pin", "", backend.name, seconds, imported, str(root), (attempt,), str(error)))
        return BackendPin(backend.name, False, imported, seconds, str(error), type(error).__name__)
    seconds = time.monotonic() - started
    on_operation(Receipt("pin", backend.name, backend.name, seconds, imported, str(root)))
    return BackendPin(backend.name, True, imported, seconds)


async def _whole(backend: Backend, cid: Cid) -> bool:
    """Tell whether a DAG is present: a pin alone proves nothing, it stays when blocks are lost."""
    try:
        await backend.stat(cid)
    except ContentMissing:
        return False
    return True
