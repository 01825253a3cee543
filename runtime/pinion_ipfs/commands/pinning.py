"""The commands `pin`, `unpin` and `pins`: what is kept, where, and for whom."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..backends.base import Backend, Capability
from ..backends.hf_cache import HfCache
from ..content.cid import Cid
from ..errors import ContentMissing, OwnerTaken, PinOfOthers, StoreInaccessible
from ..program.printable import printable_name
from ..routing.choice import HF_CACHE
from ..routing.router import Router
from ..store import Store
from ..store.pins import PinRecord
from .composing import open_router
from .interrupting import run
from .output import show

_T = TypeVar("_T")


def pin(options: argparse.Namespace) -> int:
    """Keep a DAG that is wholly present: for an owner in the local store, else in the first backend that has it."""
    cid: Cid = options.cid
    where = (
        _pin_for_owner(cid, options.owner) if options.owner else run(_with_router(options, lambda router: _pin(router, cid)))
    )
    text = f"{cid} is pinned in {where}{f' for {printable_name(options.owner)}' if options.owner else ''}"
    show(options, text, {"cid": str(cid), "owner": options.owner, "backend": where})
    return 0


def unpin(options: argparse.Namespace) -> int:
    """Give up a pin: an owner's, else those without an owner, in every backend that has one."""
    cid: Cid = options.cid
    where = (
        _unpin_of_owner(cid, options.owner) if options.owner else run(_with_router(options, lambda router: _unpin(router, cid)))
    )
    show(
        options,
        f"{cid} is no longer pinned in {', '.join(where)}",
        {"cid": str(cid), "owner": options.owner, "backends": where},
    )
    return 0


def pins(options: argparse.Namespace) -> int:
    """Print the pins of the local store with their owners, and those of backends that keep pins."""
    facts = run(_with_router(options, _all_pins))
    lines = (
        f"{fact['cid']}  {fact['repo'] or '-'}{'@' if fact['commit'] else ''}{fact['commit']}  "
        f"{printable_name(fact['owner']) or '-'}  {','.join(fact['backends']) or '-'}"
        for fact in facts
    )
    if facts or options.json:
        show(options, "\n".join(lines), facts)
    return 0


async def _with_router(options: argparse.Namespace, work: Callable[[Router], Awaitable[_T]]) -> _T:
    async with open_router(options) as router:
        return await work(router)


async def _pin(router: Router, cid: Cid) -> str:
    async def keep(backend: Backend) -> str:
        await backend.stat(cid)  # a daemon would wait for a block that it lacks
        await backend.pin(cid)
        return backend.name

    return await router.run("pin", Capability.PIN, keep, cid=cid)


async def _unpin(router: Router, cid: Cid) -> list[str]:
    held = [backend for backend in router.able(Capability.PIN) if cid in await backend.pin_ls()]
    if not held:
        asked = ", ".join(backend.name for backend in router.able(Capability.PIN))
        raise ContentMissing(f"{cid} is not pinned; asked: {asked or 'nobody, for no backend keeps pins'}")
    given_up: list[str] = []
    stayed: list[str] = []
    for backend in held:
        await backend.unpin(cid)
        (stayed if cid in await backend.pin_ls() else given_up).append(backend.name)
    if not given_up:
        owners = [record.owner for record in Store.default().pins.all() if cid in (record.cid, record.manifest_cid)]
        told = f"owners have it pinned: {', '.join(owners)}; name one by --owner" if owners else "the pin was not made by us"
        raise PinOfOthers(f"{cid} stays pinned in {', '.join(stayed)}: {told}")
    return given_up


def _pin_for_owner(cid: Cid, owner: str) -> str:
    store = Store.default()
    if not store.writable:
        raise StoreInaccessible(f"{store.side} can't be written by this user: no pin")
    found = next(((at, manifest) for at, manifest in store.manifests() if manifest.root == cid), None)
    if found is None:
        raise ContentMissing(f"{cid} is no model of the local store, and only those have pins with owners")
    taken = store.pins.get(owner)
    if taken and taken.cid != cid:
        raise OwnerTaken(f"{owner} has {taken.cid} pinned: give that up first, or name another owner")
    run(_check_whole(store, cid))
    manifest_cid, manifest = found
    store.pin(PinRecord(owner, cid, manifest_cid, manifest.repo, manifest.commit, taken.backends if taken else ()))
    return HF_CACHE


async def _check_whole(store: Store, cid: Cid) -> None:
    """Raise ContentMissing unless all of a DAG is here and right."""
    await HfCache(HF_CACHE, store).stat(cid)


def _unpin_of_owner(cid: Cid, owner: str) -> list[str]:
    store = Store.default()
    record = store.pins.get(owner)
    if record is None or record.cid != cid:
        raise ContentMissing(f"{cid} is not pinned for {owner}" + (f", who has {record.cid}" if record else ""))
    store.unpin(owner)
    return [HF_CACHE]


async def _all_pins(router: Router) -> list[dict[str, Any]]:
    """Return a fact for each record of the store, then one for each further CID."""
    records = await asyncio.to_thread(Store.default().pins.all)
    facts: list[dict[str, Any]] = [
        {
            "cid": str(record.cid),
            "manifestCid": str(record.manifest_cid),
            "repo": str(record.repo),
            "commit": str(record.commit),
            "owner": record.owner,
            "backends": list(record.backends),
        }
        for record in records
    ]
    owned = {cid for record in records for cid in (record.cid, record.manifest_cid)}
    holders: dict[str, list[str]] = {}
    for backend in router.able(Capability.PIN):
        for cid in await backend.pin_ls() - owned:
            holders.setdefault(str(cid), []).append(backend.name)
    empty = {"manifestCid": "", "repo": "", "commit": "", "owner": ""}
    return facts + [{"cid": cid, **empty, "backends": names} for cid, names in sorted(holders.items())]
