"""Where a redirect or a next page leads, whatever names a hub behind another server has for itself."""

import httpx2
import pytest

from pinion_ipfs.hub.redirects import is_upgrade, next_page, next_urls

BELOW = "https://hub.corp/repository/hf"
API = "/api/models/a/b/revision/main?blobs=true"
FILE = "/a/b/resolve/main/x%20y.txt"

# the hub's address, what was asked, where the answer leads, where to ask next
REDIRECTS = {
    "another name, absolute": (
        "https://hub",
        API,
        "https://hub/api/models/c/d/x?q=%2F",
        ["https://hub/api/models/c/d/x?q=%2F"],
    ),
    "another name, relative": ("https://hub", FILE, "/c/d/resolve/main/x%20y.txt", ["https://hub/c/d/resolve/main/x%20y.txt"]),
    "below a path, as it is": (BELOW, API, "/repository/hf/api/models/c/d", ["https://hub.corp/repository/hf/api/models/c/d"]),
    "below a path that is left out": (
        BELOW,
        API,
        "/api/models/c/d",
        ["https://hub.corp/repository/hf/api/models/c/d", "https://hub.corp/api/models/c/d"],
    ),
    "a file below a path that is left out": (
        BELOW,
        FILE,
        "/c/d/resolve/1/f",
        ["https://hub.corp/repository/hf/c/d/resolve/1/f", "https://hub.corp/c/d/resolve/1/f"],
    ),
    "another path of the manager": (BELOW, FILE, "/storage/blob?sig=a%2Fb", ["https://hub.corp/storage/blob?sig=a%2Fb"]),
    "as the hub behind it says": (BELOW, API, "https://huggingface.co/api/models/c/d", [BELOW + "/api/models/c/d"]),
    "as the hub behind it says, of a file": (
        BELOW,
        FILE,
        "https://huggingface.co/c/d/resolve/1/f",
        [BELOW + "/c/d/resolve/1/f"],
    ),
    "without the TLS before it": (BELOW, API, "http://hub.corp/repository/hf/api/models/c/d", [BELOW + "/api/models/c/d"]),
    "to TLS": ("http://hub", API, "https://hub" + API, ["https://hub" + API]),
    "to TLS at another host": ("http://hub", API, "https://bub" + API, []),
    "to another host": ("https://hub", API, "https://evil/", []),
    "to the same question at another host": ("https://hub", API, "https://evil" + API, []),
    "to where files are stored": ("https://hub", FILE, "https://cdn/repos/12/34?Signature=x", []),
    "to another port": ("http://hub:8080", API, "http://hub:8081/x", []),
}


@pytest.mark.parametrize("name", REDIRECTS)
def test_where_a_redirect_leads(name: str) -> None:
    hub, asked, location, expected = REDIRECTS[name]
    assert [str(url) for url in next_urls(httpx2.URL(hub + asked), location, hub)] == expected


@pytest.mark.parametrize(
    ("url", "target", "upgrade"),
    [
        ("http://hub/a", "https://hub/b", True),
        ("http://hub:80/a", "https://hub:443/b", True),
        ("http://hub:8080/a", "https://hub/b", False),
        ("http://hub/a", "https://hub:8443/b", False),
        ("https://hub/a", "http://hub/b", False),
        ("http://hub/a", "https://bub/b", False),
    ],
)
def test_what_leads_to_tls_at_the_same_host(url: str, target: str, upgrade: bool) -> None:
    assert is_upgrade(httpx2.URL(url), httpx2.URL(target)) is upgrade


TREE = BELOW + "/api/models/a/b/tree/c0ffee"
PAGES = {
    "none": ("", None),
    "another relation": ('<https://hub.corp/x>; rel="prev"', None),
    "absolute": (f'<{TREE}?recursive=true&cursor=Z%3D>; rel="next"', f"{TREE}?recursive=true&cursor=Z%3D"),
    "a query alone": ('<?cursor=2>; rel="next"', f"{TREE}?cursor=2"),
    "as the hub behind it says": (
        '<https://huggingface.co/api/models/a/b/tree/c0ffee?recursive=true&cursor=2>; rel="next"',
        f"{TREE}?recursive=true&cursor=2",
    ),
    "another address of the manager": ('</pages/2?x=1>; rel="next"', "https://hub.corp/pages/2?x=1"),
    "among others": (f'<{TREE}>; rel="first", <{TREE}?cursor=2>; rel="next"', f"{TREE}?cursor=2"),
}


@pytest.mark.parametrize("name", PAGES)
def test_where_the_next_page_is(name: str) -> None:
    link, expected = PAGES[name]
    answer = httpx2.Response(200, headers={"link": link} if link else {})
    found = next_page(httpx2.URL(TREE + "?recursive=true"), answer)
    assert (str(found) if found else None) == expected


def test_a_page_at_another_host_is_not_asked() -> None:
    answer = httpx2.Response(200, headers={"Link": '<https://evil/pages/2>; rel="next"'})
    with pytest.raises(ValueError, match="at another host, https://evil"):
        next_page(httpx2.URL(TREE), answer)
