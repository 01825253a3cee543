"""The command `backends`: what each backend says to a real round trip, in the order in which they are asked."""

import argparse
import asyncio
import os
from collections.abc import Callable

from ..backends.base import Backend, Health
from ..backends.gateway import Gateway
from ..program.printable import printable
from ..routing.choice import HF_CACHE, IPFS_KIT, KUBO, KUBO_CLI, KUBO_RPC, LIST, choose_backends
from ..routing.finding import find_ipfs_kit, find_kubo_cli, find_kubo_rpc, local_store
from .environment import check_authorities
from .exit_codes import ExitCode
from .interrupting import run
from .output import show

USABLE, UNUSABLE, NOT_CONFIGURED, LEFT_OUT = "Usable", "Unusable", "NotConfigured", "LeftOut"
_LEFT_OUT = f"{LIST} does not name it, or a variable switches it off"


def backends(options: argparse.Namespace) -> int:
    """Probe all backends at once and print how each is; UNREACHABLE when one that is configured can't be used."""
    check_authorities()
    facts = facts_of_backends(options)
    show(options, "\n".join(map(line_of, facts)), facts)
    return ExitCode.UNREACHABLE if any(fact["state"] == UNUSABLE for fact in facts) else ExitCode.DONE


def facts_of_backends(options: argparse.Namespace) -> list[dict[str, object]]:
    """Probe all backends at once and return how each is, in the order in which they are asked."""
    known: dict[str, tuple[Callable[[], Backend | None], str]] = {
        IPFS_KIT: (find_ipfs_kit, "NotInstalled: there is no package ipfs_kit_py"),
        HF_CACHE: (local_store, ""),
        KUBO_RPC: (lambda: find_kubo_rpc(options.kubo_api), "neither --kubo-api nor KUBO_API names one"),
        KUBO_CLI: (find_kubo_cli, "KUBO_CMD names none, and `ipfs` is not in PATH or has no repository"),
        "gateway": (lambda: Gateway("gateway", options.gateway) if options.gateway else None, "--gateway names none"),
    }
    chosen = [each for name in choose_backends(os.environ) for each in ((KUBO_RPC, KUBO_CLI) if name == KUBO else (name,))]
    asked = dict.fromkeys([*chosen, *([KUBO_RPC] if options.kubo_api else []), "gateway"])
    made = {name: known[name][0]() for name in asked}
    healths = run(_probe_all([backend for backend in made.values() if backend]))
    facts = [_fact(name, made[name], healths.get(name), known[name][1]) for name in asked]
    return facts + [{**_fact(name, None, None, _LEFT_OUT), "state": LEFT_OUT} for name in known if name not in asked]


def line_of(fact: dict[str, object]) -> str:
    """Return how one backend is, as text."""
    checks, version = fact["checks"], fact["version"]
    told = str(fact["reason"]) or f"{', '.join(checks) if isinstance(checks, list) else ''}{f' ({version})' if version else ''}"
    return f"{fact['name']:<10} {fact['state']:<14} {printable(told)}"


def _fact(name: str, backend: Backend | None, health: Health | None, why_not: str) -> dict[str, object]:
    return {
        "name": name,
        "state": NOT_CONFIGURED if health is None else USABLE if health.usable else UNUSABLE,
        "reason": why_not if health is None else health.reason,
        "version": health.version if health else "",
        "checks": list(health.checks) if health else [],
        "can": sorted(backend.capabilities) if backend else [],
    }


async def _probe_all(made: list[Backend]) -> dict[str, Health]:
    try:
        return {health.backend: health for health in await asyncio.gather(*(backend.probe() for backend in made))}
    finally:
        for backend in made:
            await backend.close()
