"""Which proxy a URL is asked through: as the environment says, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

import urllib.request
from urllib.parse import urlsplit

from .addresses import AddressPolicy, RefusedConnection, resolve_checked


def proxy_for(url: str) -> str:
    """Return the URL of the proxy, "" when the host is asked directly."""
    parts, proxies = urlsplit(url), urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not proxy or not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def check_before_proxy(host: str, port: int, policy: AddressPolicy) -> None:
    """Raise RefusedConnection where a name leads to refused addresses alone, as far as it resolves here; blocking.

    The proxy connects, and decides what can be reached: it is not asked for what we would not ask ourselves.
    """
    try:
        resolve_checked(host, port, policy)
    except RefusedConnection:
        raise
    except (OSError, UnicodeError):
        pass  # a name that the proxy alone can resolve


def without_credentials(proxy: str) -> str:
    """Return a proxy's URL as a message may show it."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
