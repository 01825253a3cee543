"""The command `backends`: what each backend says to a real round trip, in the order in which they are asked."""

import argparse
import asyncio
from collections.abc import Callable

from ..backends.base import Backend, Health
from ..backends.gateway import Gateway
from ..program.printable import printable
from .composing import find_kubo_cli, find_kubo_rpc, local_store
from .environment import check_authorities
from .interrupting import run
from .output import show

USABLE, UNUSABLE, NOT_CONFIGURED = "Usable", "Unusable", "NotConfigured"


def backends(options: argparse.Namespace) -> int:
    """Probe all backends at once and print how each is; 1 when one that is configured can't be used."""
    check_authorities()
    known: dict[str, tuple[Callable[[], Backend | None], str]] = {
        "hf_cache": (local_store, ""),
        "kubo_rpc": (lambda: find_kubo_rpc(options), "neither --kubo-api nor KUBO_API names one"),
        "kubo_cli": (find_kubo_cli, "KUBO_CMD names none, and `ipfs` is not in PATH or has no repository"),
        "gateway": (lambda: Gateway("gateway", options.gateway) if options.gateway else None, "--gateway names none"),
    }
    made = {name: make() for name, (make, _) in known.items()}
    healths = run(_probe_all([backend for backend in made.values() if backend]))
    facts: list[dict[str, object]] = []
    for name, (_, why_not) in known.items():
        backend, health = made[name], healths.get(name)
        state = NOT_CONFIGURED if health is None else USABLE if health.usable else UNUSABLE
        facts.append(
            {
                "name": name,
                "state": state,
                "reason": health.reason if health else why_not,
                "version": health.version if health else "",
                "checks": list(health.checks) if health else [],
                "can": sorted(backend.capabilities) if backend else [],
            }
        )
    show(options, "\n".join(map(_line, facts)), facts)
    return 0 if all(health.usable for health in healths.values()) else 1


async def _probe_all(made: list[Backend]) -> dict[str, Health]:
    try:
        return {health.backend: health for health in await asyncio.gather(*(backend.probe() for backend in made))}
    finally:
        for backend in made:
            await backend.close()


def _line(fact: dict[str, object]) -> str:
    checks, version = fact["checks"], fact["version"]
    told = str(fact["reason"]) or f"{', '.join(checks) if isinstance(checks, list) else ''}{f' ({version})' if version else ''}"
    return f"{fact['name']:<10} {fact['state']:<14} {printable(told)}"
