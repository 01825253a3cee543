"""The commands `pin`, `unpin` and `pins`: what is kept, where, and for whom."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from ..backends.base import Backend, Capability
from ..backends.hf_cache import HfCache
from ..content.cid import Cid
from ..errors import ContentMissing, OwnerTaken, PinOfOthers
from ..manager.catalogue import OWNERS
from ..program.printable import printable, printable_name
from ..routing.choice import HF_CACHE
from ..routing.router import Router
from ..store import Store
from ..store.pins import PinRecord
from .composing import open_router
from .exit_codes import ExitCode
from .failing import PROGRAM
from .giving_up import GivenUp, give_up, told_of
from .holding import ask_each, closed_store, not_writable
from .interrupting import run
from .output import show

_ELSEWHERE = "a pod or another program pinned it there, which gives it up: of a ModelDeployment with its end"
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
    """Give up a pin: an owner's, else those without an owner, in every backend that has one; tell what stays, and where."""
    cid: Cid = options.cid
    if options.owner:
        elsewhere = _unpin_of_owner(cid, options.owner)
        given_up = GivenUp((HF_CACHE,), owned=tuple((name, _ELSEWHERE) for name in elsewhere))
    else:
        given_up = run(_with_router(options, lambda router: give_up(router, cid)))
    facts: dict[str, object] = {"cid": str(cid), "owner": options.owner, "backends": list(given_up.backends)}
    stayed = [{"backend": name, "reason": why} for name, why in (*given_up.owned, *given_up.stayed)]
    unanswered = [{"backend": name, "error": why} for name, why in given_up.silent.items()]
    lines = [f"{cid} is no longer pinned in {', '.join(given_up.backends)}", *map(printable, told_of(given_up))]
    show(options, "\n".join(lines), facts | {"stayed": stayed, "unanswered": unanswered})
    return ExitCode.UNREACHABLE if given_up.silent else ExitCode.REFUSED if given_up.stayed else ExitCode.DONE


def pins(options: argparse.Namespace) -> int:
    """Print the pins of the local store with their owners, and those of backends; UNREACHABLE when one did not answer."""
    facts, silent = run(_with_router(options, _all_pins))
    lines = (
        f"{fact['cid']}  {fact['repo'] or '-'}{'@' if fact['commit'] else ''}{fact['commit']}  "
        f"{printable_name(fact['owner']) or '-'}  {','.join(fact['backends']) or '-'}"
        for fact in facts
    )
    if facts or options.json:
        show(options, "\n".join(lines), facts)
    for name, why in silent.items():
        print(f"{PROGRAM}: {name} does not say what it has pinned: {printable(why)}", file=sys.stderr)
    return ExitCode.UNREACHABLE if silent else ExitCode.DONE


async def _with_router(options: argparse.Namespace, work: Callable[[Router], Awaitable[_T]]) -> _T:
    async with open_router(options) as router:
        return await work(router)


async def _pin(router: Router, cid: Cid) -> str:
    async def keep(backend: Backend) -> str:
        await backend.stat(cid)  # a daemon would wait for a block that it lacks
        await backend.pin(cid)
        return backend.name

    if not router.able(Capability.PIN) and (closed := closed_store(router, Capability.PIN)):
        raise closed
    return await router.run("pin", Capability.PIN, keep, cid=cid)


def _pin_for_owner(cid: Cid, owner: str) -> str:
    store = Store.default()
    _check_owner(owner)
    if not store.writable:
        raise not_writable(store)
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


def _unpin_of_owner(cid: Cid, owner: str) -> tuple[str, ...]:
    """Give up an owner's record; return the backends that it names, where a pod or another program has pinned the model."""
    store = Store.default()
    _check_owner(owner)
    record = store.pins.get(owner)
    if record is None or record.cid != cid:
        raise ContentMissing(f"{cid} is not pinned for {owner}" + (f", who has {record.cid}" if record else ""))
    if not store.writable:
        raise not_writable(store)
    store.unpin(owner)
    return record.backends


def _check_owner(owner: str) -> None:
    """Raise PinOfOthers for the model manager's own names: its records go with pins in other backends."""
    if owner.startswith(OWNERS):
        raise PinOfOthers(f"{owner} is a name of the model manager: pinion_ipfs.ModelManager stores and removes what it keeps")


async def _all_pins(router: Router) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
    """Return a fact for each record of the store, then one for each further CID; and who did not answer, and why."""
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
    asked = await ask_each(router)
    holders: dict[str, list[str]] = {}
    for backend, pinned in asked.pins:
        told = {cid for record in records if backend.name in record.backends for cid in (record.cid, record.manifest_cid)}
        for cid in pinned - told:
            holders.setdefault(str(cid), []).append(backend.name)
    empty = {"manifestCid": "", "repo": "", "commit": "", "owner": ""}
    return facts + [{"cid": cid, **empty, "backends": names} for cid, names in sorted(holders.items())], asked.silent
