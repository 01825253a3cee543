"""Where the operator connects for a URL that an object names: to public addresses and to `operator.allowedNetworks`."""

import asyncio
import ipaddress
from functools import lru_cache

from pinion_ipfs.hub.revisions import default_endpoint
from pinion_ipfs.net.addresses import AddressPolicy, resolve_url

from .own_trouble import OwnTrouble, is_our_own

ADVICE = "for objects' URLs the operator asks public addresses and those in operator.allowedNetworks"


@lru_cache(maxsize=8)
def policy_of(networks: tuple[str, ...]) -> AddressPolicy:
    """Return the policy for URLs of objects; `networks` are those of the settings, in CIDR notation."""
    return AddressPolicy(public=True, networks=tuple(map(ipaddress.ip_network, networks)), advice=ADVICE)


def hub_policy(endpoint: str, own: str, networks: tuple[str, ...]) -> AddressPolicy | None:
    """Return the policy for a hub; None for the operator's own, whoever names it."""
    return None if default_endpoint(endpoint or own) == default_endpoint(own) else policy_of(networks)


async def why_unasked(url: str, policy: AddressPolicy, timeout: float) -> str:
    """Return what keeps the operator from asking a URL, in words for its log: no address that it asks; "" when nothing does.

    Raise OwnTrouble when the name could not be resolved for a reason of the operator's own.
    """
    try:
        async with asyncio.timeout(timeout):
            await asyncio.to_thread(resolve_url, url, policy)
    except TimeoutError:
        return f"{url}: its name does not resolve within {timeout:g} s"
    except (OSError, ValueError) as error:
        if is_our_own(error):
            raise OwnTrouble(url, error) from error
        return f"{url}: {error}"
    return ""
