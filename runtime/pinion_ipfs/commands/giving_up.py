"""To give up the pins of a CID that have no owner, wherever they are: what went, what stays and why, and who did not answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..backends.base import Backend, Capability
from ..backends.hf_cache import HfCache
from ..content.cid import Cid
from ..content.errors import ContentError
from ..errors import BackendUnavailable, ContentMissing, PinOfOthers
from ..routing.router import Router
from ..store import Store
from .holding import ask_each, not_writable, pins_without_owner


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Where pins went; where others stay, and why; who did not answer, and why. `owned`: the local store, for its owners."""

    backends: tuple[str, ...]
    stayed: tuple[tuple[str, str], ...] = ()
    owned: tuple[tuple[str, str], ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)


async def give_up(router: Router, cid: Cid) -> GivenUp:
    """Give up a CID's pins without an owner.

    Raise ContentMissing when there is none, PinOfOthers when others' are all that there are, StoreInaccessible when the only
    one is in a store that can't be written, BackendUnavailable when one may be where nobody answers.
    """
    asked = await ask_each(router)
    silent = dict(asked.silent)
    gone: list[str] = []
    stayed: list[tuple[str, str]] = []
    closed = None
    for backend, _ in (each for each in asked.pins if cid in each[1]):
        if Capability.PIN not in backend.capabilities:
            closed = not_writable(Store.default())
            stayed.append((backend.name, str(closed)))
            continue
        try:
            await backend.unpin(cid)
            if cid in await pins_without_owner(backend):
                stayed.append((backend.name, "the pin was not made by us"))
            else:
                gone.append(backend.name)
        except ContentError as error:
            silent[backend.name] = str(error)
    owned = await _owned(cid, [backend for backend, _ in asked.pins])
    done = GivenUp(tuple(gone), tuple(stayed), owned, silent)
    if gone:
        return done
    told = "; ".join(told_of(done))
    if silent:
        raise BackendUnavailable(f"{cid}: no pin was given up: {told}")
    if closed:
        raise closed
    if stayed or owned:
        raise PinOfOthers(f"{cid} {told}")
    names = ", ".join(backend.name for backend, _ in asked.pins)
    raise ContentMissing(f"{cid} is not pinned; asked: {names or 'nobody, for no backend keeps pins'}")


async def _owned(cid: Cid, backends: list[Backend]) -> tuple[tuple[str, str], ...]:
    records = await asyncio.to_thread(Store.default().pins.all)
    owners = [record.owner for record in records if cid in (record.cid, record.manifest_cid)]
    why = f"owners have it pinned: {', '.join(owners)}; name one by --owner"
    return tuple((backend.name, why) for backend in backends if owners and isinstance(backend, HfCache))


def told_of(done: GivenUp) -> list[str]:
    """Return a sentence for each place where a pin stays, or may."""
    stays = [f"stays pinned in {name}: {why}" for name, why in (*done.owned, *done.stayed)]
    return stays + [f"may be pinned in {name}, which does not say: {why}" for name, why in done.silent.items()]
