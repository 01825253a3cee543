"""Who has pins: each backend is asked by itself, and one that does not answer hides nothing of the others."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from ..backends.base import Backend, Capability
from ..backends.hf_cache import HfCache
from ..content.cid import Cid
from ..content.errors import ContentError
from ..errors import StoreInaccessible
from ..routing.choice import HF_CACHE
from ..routing.router import Router
from ..store import Store
from ..store.ownership import is_believed


@dataclass(frozen=True, slots=True)
class Holders:
    """The pins of each backend that answers, those of owners in the local store aside, and by name why others did not."""

    pins: tuple[tuple[Backend, frozenset[Cid]], ...]
    silent: Mapping[str, str]


async def ask_each(router: Router) -> Holders:
    """Ask each backend that keeps pins; a local store that can't be written is read."""
    pins: list[tuple[Backend, frozenset[Cid]]] = []
    silent: dict[str, str] = {}
    for backend in router.backends:
        if Capability.PIN in backend.capabilities or isinstance(backend, HfCache):
            try:
                pins.append((backend, await pins_without_owner(backend)))
            except ContentError as error:
                silent[backend.name] = str(error)
    return Holders(tuple(pins), silent)


async def pins_without_owner(backend: Backend) -> frozenset[Cid]:
    """Return what a backend has pinned; of the local store what was pinned without an owner."""
    return await asyncio.to_thread(_single_pins) if isinstance(backend, HfCache) else await backend.pin_ls()


def _single_pins() -> frozenset[Cid]:
    folder = Store.default().side / "cid-pins"
    try:
        return frozenset(Cid.parse(path.name) for path in folder.glob("b*") if is_believed(path))
    except OSError as error:
        raise StoreInaccessible(f"{folder}: {error.strerror}") from error


def closed_store(router: Router, capability: Capability) -> StoreInaccessible | None:
    """Return the error of a local store that is among the backends and lets this user only read; None for any other."""
    for backend in router.backends:
        if isinstance(backend, HfCache) and capability not in backend.capabilities:
            return not_writable(Store.default())
    return None


def not_writable(store: Store) -> StoreInaccessible:
    """Return the error for a store that this user can't write."""
    return StoreInaccessible(f"{HF_CACHE}: {store.side} can't be written by this user")
