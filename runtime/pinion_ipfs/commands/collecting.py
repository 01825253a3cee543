"""The command `gc`: free space, what was not used for longest first; what is pinned, open or being fetched stays."""

import argparse
from typing import Any

from ..backends.base import Backend, Capability
from ..backends.collecting import Collected, GcOrder
from ..program.arguments import UsageError
from ..program.printable import printable, printable_name
from ..routing.choice import HF_CACHE, LIST
from ..routing.router import FALLBACK_ERRORS
from .composing import open_router
from .exit_codes import ExitCode
from .holding import closed_store
from .interrupting import run
from .output import show

_MOST_SHOWN = 20  # of what went and of what stayed, as text


def gc(options: argparse.Namespace) -> int:
    """Collect in the local store, or in every backend that collects; UNREACHABLE when one of several did not."""
    if not options.everywhere and options.kubo_api:
        raise UsageError("gc: --kubo-api has no effect without --everywhere: only the local store is looked at")
    order = _order(options)
    done = run(_collect(options, order))
    show(options, "\n".join(map(_text, done)), [_facts(each) for each in done])
    return ExitCode.UNREACHABLE if any(each.error for each in done) else ExitCode.DONE


def _order(options: argparse.Namespace) -> GcOrder:
    high = options.high or 0
    if options.low is not None and options.low > high:
        raise UsageError(f"gc: --low {options.low} is more than --high {high}")
    return GcOrder(high, options.low, options.foreign, options.idle_seconds, options.dry_run)


async def _collect(options: argparse.Namespace, order: GcOrder) -> list[Collected]:
    async with open_router(options) as router:
        able = router.able(Capability.GC)
        chosen = [each for each in able if options.everywhere or each.name == HF_CACHE]
        closed = closed_store(router, Capability.GC)
        if not chosen and closed:
            raise closed
        if not chosen:
            raise UsageError(f"gc: {LIST}, or a switch, leaves the local store out, and nothing else collects")
        if len(chosen) == 1 and not closed:
            return [await chosen[0].gc(order)]  # its own error says more than that of all
        lines = [Collected(HF_CACHE, dry_run=order.dry_run, error=str(closed))] if closed else []
        return lines + [await _told_of(backend, order) for backend in able]


async def _told_of(backend: Backend, order: GcOrder) -> Collected:
    """Collect in one of several backends: its error is a line of its own."""
    try:
        return await backend.gc(order)
    except FALLBACK_ERRORS as error:
        return Collected(backend.name, dry_run=order.dry_run, error=str(error))


def _text(done: Collected) -> str:
    if done.error:
        return f"{done.backend}: {printable(done.error)}"
    verbs = ("would free", "would remove") if done.dry_run else ("freed", "removed")
    lines = [f"{done.backend}: {verbs[0]} {done.freed} of {done.used} bytes, {done.count} removed, {len(done.kept)} kept"]
    lines += [f"  {verbs[1]} {printable_name(name)}" for name in done.removed[:_MOST_SHOWN]]
    lines += [f"  kept {printable_name(each.name)}: {printable(each.reason)}" for each in done.kept[:_MOST_SHOWN]]
    left_out = max(0, done.count - _MOST_SHOWN) + max(0, len(done.kept) - _MOST_SHOWN)
    return "\n".join((*lines, *([f"  and {left_out} more (--json tells them)"] if left_out else [])))


def _facts(done: Collected) -> dict[str, Any]:
    return {
        "backend": done.backend,
        "used": done.used,
        "freed": done.freed,
        "count": done.count,
        "removed": list(done.removed),
        "kept": [{"name": each.name, "reason": each.reason} for each in done.kept],
        "dryRun": done.dry_run,
        "error": done.error,
    }
