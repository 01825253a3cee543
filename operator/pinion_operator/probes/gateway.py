"""Trustless gateways: whether one of them answers."""

import asyncio
import time
from collections.abc import Mapping

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.net.addresses import AddressPolicy

from ..reconcile.backend.observed import Check
from .kubo import stable
from .own_trouble import OwnTrouble, is_our_own


async def probe_gateways(
    name: str,
    urls: tuple[str, ...],
    unasked: Mapping[str, str],
    token: str,
    timeout: float,
    policy: AddressPolicy,
    token_source: str = "",
) -> Check:
    """Ask for the empty block within `timeout` seconds in all; one answer is enough. `unasked`: why some are not asked.

    Raise OwnTrouble when none answered, and one could not be asked for a reason of the operator's own.
    """
    problems: list[str] = []
    trouble: OwnTrouble | None = None
    end, left = time.monotonic() + timeout, len(urls) - len(unasked)
    for url in urls:
        if problem := unasked.get(url):
            problems.append(problem)
            continue
        # One that is silent leaves the others their share of the time.
        try:
            gateway = Gateway(
                name, url, token=token, stall_seconds=(end - time.monotonic()) / left, policy=policy, token_source=token_source
            )
            problem = await _problem(name, url, gateway, (end - time.monotonic()) / left, policy)
        except OwnTrouble as error:
            trouble = error
        else:
            if not problem:
                return Check(reachable=True, healthy=True)
            problems.append(problem)
        left -= 1
    if trouble:
        raise trouble
    return Check(reachable=False, healthy=False, problem="; ".join(problems), asked=not unasked)


async def _problem(name: str, url: str, gateway: Gateway, timeout: float, policy: AddressPolicy) -> str:
    try:
        async with asyncio.timeout(timeout):
            health = await gateway.probe()
    except TimeoutError:
        return policy.no_answer(url)
    finally:
        await gateway.close()
    if is_our_own(health.error):
        raise OwnTrouble(f"a gateway of {name}", health.error)
    return stable(health.reason, whole=False)
