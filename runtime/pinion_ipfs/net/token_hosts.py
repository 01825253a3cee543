"""To which hosts a token may be sent: those that its own Secret names, never one that somebody else writes beside it.

An entry is `host` or `host:port`. Without a port it means https at 443; plain HTTP counts only where its port is named.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from ..errors import TokenRefused

KEY = "hosts"  # in the Secret, beside the token

# Plain names and addresses alone: what one parser of URLs reads otherwise than the next is nobody's host.
_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\])"
_URL = re.compile(rf"(https?)://({_HOST})(?::([0-9]{{1,5}}))?(?:[/?#].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_ENTRY = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?", re.ASCII)
_BETWEEN = re.compile(r"[,\s]+")
_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, slots=True)
class TokenHosts:
    """The hosts of one token; `of` says whose it is, for messages."""

    origins: frozenset[Origin]
    of: str = "the token"
    remedy: str = ""  # what whoever trusts another host with it does; `HOST` stands for that one

    @classmethod
    def only(cls, url: str) -> Self:
        """Return the rule of a token that is for one URL's host alone."""
        origin = origin_of(url)
        return cls(frozenset({origin} if origin else ()))

    @classmethod
    def of_secret(cls, text: str | None, *, secret: str, namespace: str, default: str = "") -> Self:
        """Return the rule of the token in a Secret; `text` is under its key `hosts`, None: it has none, and `default`'s counts.

        `default` is a URL; "": nobody's.
        """
        if text is None:
            origins, rest = cls.only(default).origins, f"it has no key `{KEY}`"
            if origins:
                rest += f", so it goes to {shown(default)} alone"
        else:
            origins, rest = frozenset(_parse(text)), f"its key `{KEY}` names others"
        remedy = f"{rest}. Who trusts HOST with it says so: {_command(secret, namespace, more=text is not None)}"
        return cls(origins, f"the token in Secret {secret!r}", remedy)

    def permits(self, url: str) -> bool:
        """Return whether the token may be sent with a request for this URL."""
        return origin_of(url) in self.origins

    def check(self, url: str) -> None:
        """Raise TokenRefused, with what allows it, where the token may not be sent."""
        if self.permits(url):
            return
        place = shown(url)
        if not place:
            raise TokenRefused(f"{self.of} is not sent to {url[:200]!r}: that names no host by a plain name or address")
        remedy = self.remedy.replace("HOST", place)
        raise TokenRefused(f"{self.of} is not sent to {place}" + (f": {remedy}" if remedy else ""))


def origin_of(url: str) -> Origin | None:
    """Return scheme, host and port of a URL; None when it names no host by a plain name or address."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match[1].lower()
    host, port = _host(match[2]), int(match[3] or _PORTS[scheme])
    return (scheme, host, port) if host and 0 < port < 65536 else None


def shown(url: str) -> str:
    """Return the entry that stands for a URL's host; "" when it names none that could be listed."""
    origin = origin_of(url)
    if origin is None:
        return ""
    scheme, host, port = origin
    host = f"[{host}]" if ":" in host else host
    return host if (scheme, port) == ("https", 443) else f"{host}:{port}"


def _parse(text: str) -> list[Origin]:
    found: list[Origin] = []
    for entry in _BETWEEN.split(text):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            continue  # names nobody
        host, port = _host(match[1]), int(match[2] or 443)
        if host and 0 < port < 65536:
            found += [(scheme, host, port) for scheme in _PORTS if (scheme, port) != ("http", 443)]
    return found


def _host(text: str) -> str:
    """Return a host in the one spelling that is compared; "" for none."""
    if not text.startswith("["):
        return text.lower().removesuffix(".")
    try:
        return ipaddress.IPv6Address(text[1:-1]).compressed
    except ValueError:
        return ""


def _command(secret: str, namespace: str, *, more: bool) -> str:
    """Return the line that allows a host; `more`: beside those that are named already."""
    patch = f"kubectl patch secret {secret} -n {namespace} -p"
    if not more:
        return f"""{patch} '{{"stringData":{{"{KEY}":"HOST"}}}}'"""
    there = f"$(kubectl get secret {secret} -n {namespace} -o jsonpath='{{.data.{KEY}}}' | base64 -d | tr -s '[:space:]' ,)"
    return f"""{patch} "{{\\"stringData\\":{{\\"{KEY}\\":\\"{there},HOST\\"}}}}\""""
