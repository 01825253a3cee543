"""To which hosts a token may go, and what is said where it may not."""

import pytest

from pinion_ipfs.errors import TokenRefused
from pinion_ipfs.net.token_hosts import TokenHosts, shown

DEFAULT = "https://huggingface.co"

# hosts, a URL, whether it gets the token
RULES = {
    "a host at its https port": ("hub.example", "https://hub.example", True),
    "a path changes nothing": ("hub.example", "https://hub.example/mirror/api", True),
    "the port of https named": ("hub.example:443", "https://hub.example", True),
    "the same port in the URL": ("hub.example", "https://hub.example:443", True),
    "plain HTTP is another port": ("hub.example", "http://hub.example", False),
    "plain HTTP with its port named": ("hub.example:80", "http://hub.example", True),
    "plain HTTP at the port of https": ("hub.example:443", "http://hub.example:443", False),
    "a port by either scheme": ("hub.example:8443", "https://hub.example:8443", True),
    "a port by plain HTTP": ("hub.example:8080", "http://hub.example:8080", True),
    "another port": ("hub.example:8080", "http://hub.example:8081", False),
    "a port where none is named": ("hub.example", "https://hub.example:8443", False),
    "capitals": ("Hub.Example", "HTTPS://HUB.EXAMPLE", True),
    "a name's last dot": ("hub.example", "https://hub.example./", True),
    "commas, blanks and line ends": (" a.example,\n\tb.example , ,c.example:80\n", "https://b.example", True),
    "the last of a list": ("a.example,\nb.example\r\nc.example:80\n", "http://c.example", True),
    "nothing": ("", DEFAULT, False),
    "only blanks": (" ,\n", DEFAULT, False),
    "where there is a list it alone counts": ("hub.example", DEFAULT, False),
    "a part of a name": ("example", "https://hub.example", False),
    "a longer name": ("hub.example", "https://hub.example.evil.example", False),
    "a name before it": ("hub.example", "https://nothub.example", False),
    "a star is no entry": ("*", "https://hub.example", False),
    "nor is a pattern": ("*.example", "https://hub.example", False),
    "nor is a URL": ("https://hub.example", "https://hub.example", False),
    "nor is a path": ("hub.example/a", "https://hub.example", False),
    "an address": ("127.0.0.2:8080", "http://127.0.0.2:8080", True),
    "another address": ("127.0.0.2:8080", "http://127.0.0.3:8080", False),
    "an IPv6 address": ("[FD00::1]:8080", "http://[fd00:0::1]:8080", True),
    "an IPv6 address alone": ("[fd00::1]", "https://[fd00::1]", True),
    "no port at all": ("hub.example:0", "https://hub.example", False),
    "a port past the last": ("hub.example:65536", "https://hub.example:65536", False),
    "a user name before the host": ("hub.example", "https://hub.example@evil.example", False),
    "a backslash": ("hub.example", "https://hub.example\\.evil.example", False),
    "an escaped host": ("hub.example", "https://hub%2eexample", False),
    "another scheme": ("hub.example:21", "ftp://hub.example", False),
    "no URL": ("hub.example", "hub.example", False),
    "a line end in the host": ("hub.example", "https://hub.example\n.evil.example", False),
}


@pytest.mark.parametrize(("text", "url", "allowed"), RULES.values(), ids=RULES.keys())
def test_who_gets_it(text: str, url: str, allowed: bool) -> None:
    assert TokenHosts.of_secret(text, secret="hub", namespace="ml", default=DEFAULT).permits(url) is allowed


@pytest.mark.parametrize(
    ("default", "url", "allowed"),
    [
        (DEFAULT, "https://huggingface.co", True),
        (DEFAULT, "https://huggingface.co/api/models/a/b", True),
        (DEFAULT, "http://huggingface.co", False),  # who is on the way would read it
        (DEFAULT, "https://hub.example", False),
        ("http://hub.pinion-hub.svc", "http://hub.pinion-hub.svc:80/x", True),
        ("http://hub.pinion-hub.svc", "https://hub.pinion-hub.svc", False),
        ("https://hub.example:8443", "http://hub.example:8443", False),
        ("", DEFAULT, False),  # a backend has no default
    ],
)
def test_without_a_list_the_default_host_gets_it(default: str, url: str, allowed: bool) -> None:
    assert TokenHosts.of_secret(None, secret="hub", namespace="ml", default=default).permits(url) is allowed


def test_one_url_alone() -> None:
    hosts = TokenHosts.only("http://127.0.0.1:8080/prefix")
    assert hosts.permits("http://127.0.0.1:8080/other")
    assert not hosts.permits("http://127.0.0.1:8081/prefix")
    hosts.check("http://127.0.0.1:8080")
    with pytest.raises(TokenRefused, match=r"^the token is not sent to a\.example$"):
        hosts.check("https://a.example")
    assert not TokenHosts.only("no URL").origins


@pytest.mark.parametrize(
    "url", ["https://hub.example", "http://hub.example:80", "http://[fd00::1]:8080", "https://a.example:8443/x"]
)
def test_what_is_shown_is_the_entry_that_allows_it(url: str) -> None:
    assert TokenHosts.of_secret(shown(url), secret="hub", namespace="ml").permits(url)


def refusal(text: str | None, url: str, default: str = DEFAULT) -> str:
    with pytest.raises(TokenRefused) as caught:
        TokenHosts.of_secret(text, secret="hub", namespace="ml", default=default).check(url)
    assert (caught.value.reason, caught.value.retryable) == ("Unauthorized", True)
    return str(caught.value)


def test_a_refusal_says_why_and_the_line_that_allows_it() -> None:
    assert refusal(None, "http://evil.example:8000/x") == (
        "the token in Secret 'hub' is not sent to evil.example:8000: "
        "it has no key `hosts`, so it goes to huggingface.co alone. Who trusts evil.example:8000 with it says so: "
        """kubectl patch secret hub -n ml -p '{"stringData":{"hosts":"evil.example:8000"}}'"""
    )
    assert "it has no key `hosts`. Who trusts" in refusal(None, "http://kubo:5001", default="")
    assert "its key `hosts` names others" in refusal("a.example", "https://b.example")


@pytest.mark.parametrize(
    "url", ["http://a';reboot;'.example", "http://$(reboot)", "http://`reboot`", 'http://"x', "http://ä.example"]
)
def test_no_line_to_copy_is_made_of_what_is_no_host(url: str) -> None:
    message = refusal(None, url)
    assert "kubectl" not in message
    assert "names no host" in message
