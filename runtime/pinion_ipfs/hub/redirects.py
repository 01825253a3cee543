"""Where an answer of a hub leads: to the hub itself, under whatever name it calls itself, or to another host.

A hub behind another server (a repository manager, a proxy that ends TLS) names paths, schemes and hosts as it sees itself.
"""

import re

import httpx2

_PORTS = {"http": 80, "https": 443}
# What only a hub has: below whatever path it is served, its own begins here.
_HUB_PATH = re.compile(r"/api/(?:models|resolve-cache)/.*|/[^/?]+/[^/?]+/resolve/.*", re.DOTALL)


def origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def is_upgrade(url: httpx2.URL, target: httpx2.URL) -> bool:
    """Return whether a redirect leads from plain HTTP to HTTPS at the same host, each at its own port."""
    return origin(url) == ("http", target.host, 80) and origin(target) == ("https", url.host, 443)


def next_urls(url: httpx2.URL, location: str, endpoint: str) -> tuple[httpx2.URL, ...]:
    """Return where a redirect of `url` may be followed to at the hub itself, the likeliest first; () when it leaves the hub.

    Raises httpx2.InvalidURL.
    """
    target, base = url.join(location), httpx2.URL(endpoint)
    prefix = base.path.rstrip("/")
    asked = target.raw_path.decode("ascii")
    if origin(target) == origin(url):
        if prefix and not target.path.startswith(f"{prefix}/") and _HUB_PATH.match(asked):
            return _below(base, prefix + asked), target
        return (target,)
    if is_upgrade(url, target):
        return (target,)
    if found := _HUB_PATH.search(asked):
        own = _below(base, prefix + found[0])
        return (own,) if own != url else ()
    return ()


def next_page(url: httpx2.URL, response: httpx2.Response) -> httpx2.URL | None:
    """Return the address of a list's next page, None after the last one. `url` is what answered with this page.

    Raises ValueError for a page at another host, whose list may be another one; httpx2.InvalidURL.
    """
    link = response.links.get("next", {}).get("url", "")
    if not link:
        return None
    target = url.join(link)
    if target.path == url.path or "/api/models/" in target.path:
        return url.copy_with(query=target.query)
    if origin(target) == origin(url):
        return target
    raise ValueError(f"its next page is at another host, {target.scheme}://{target.netloc.decode()}, which is not asked")


def _below(base: httpx2.URL, path: str) -> httpx2.URL:
    return base.copy_with(raw_path=path.encode("ascii"))
