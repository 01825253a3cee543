"""Trustless gateways: whether one of them answers."""

import asyncio

from pinion_ipfs.backends.gateway import Gateway

from ..reconcile.backend.observed import Check
from .kubo import stable


async def probe_gateways(name: str, urls: tuple[str, ...], token: str, timeout: float, *, allow_local_addresses: bool) -> Check:
    """Ask each for the empty block within `timeout` seconds in all; one that answers is enough."""
    gateway = Gateway(name, urls, token=token, stall_seconds=timeout, allow_local_addresses=allow_local_addresses)
    try:
        async with asyncio.timeout(timeout):
            health = await gateway.probe()
    except TimeoutError:
        return Check(reachable=False, healthy=False, problem=f"no answer within {timeout:g} s")
    finally:
        await gateway.close()
    return Check(reachable=health.usable, healthy=health.usable, problem=stable(health.reason, whole=False))
