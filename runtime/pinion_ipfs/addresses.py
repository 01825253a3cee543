"""Addresses that somebody else chose: which of them a connection may be made to, decided at the moment of connecting.

A name is judged by what it resolves to, and the address that was judged is the one that is connected to: a name that resolves
to something else the next time (DNS rebinding) gains nothing. Redirects are the callers' to refuse.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from .errors import AddressRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What clouds answer on that is not link-local: an instance's own credentials, for the most part.
_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")  # IPv4-compatible, long out of use
_NOWHERE = ipaddress.ip_network("0.0.0.0/8")  # "this network": Linux connects 0.0.0.0 to itself

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]  # as getaddrinfo gives it


class RefusedConnection(OSError):
    """Stops a client from connecting; becomes AddressRefused where its error is translated."""


def problem_of(address: Address) -> str:
    """Return why a stranger's address must not be connected to, '' when it may."""
    if address in _METADATA:
        return "a cloud's metadata service"
    if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)) is not None:
        return problem_of(inner)
    if address.is_unspecified or address in _NOWHERE:
        return "no host's address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        return "a multicast or broadcast address"
    return ""


def check_address(host: str, text: str) -> None:
    """Raise RefusedConnection, naming `host`, when the address that it led to must not be connected to."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if problem := problem_of(address):
        shown = text if host in ("", text) else f"{host} leads to {text}"
        raise RefusedConnection(f"{shown}: {problem}, and local addresses are not allowed here")


def checked_socket(info: Any) -> socket.socket:
    """Make the socket of one connection attempt (aiohttp's `socket_factory`); raise RefusedConnection for its address."""
    family, kind, protocol, _, address = info
    check_address("", str(address[0]))
    return socket.socket(family, kind, protocol)


def resolve_checked(host: str, port: int, resolve: Callable[..., list[Any]] = socket.getaddrinfo) -> list[str]:
    """Resolve a name and return the addresses that may be connected to; blocking.

    Raise RefusedConnection when there are others only, OSError when there are none.
    """
    refused: RefusedConnection | None = None
    good: list[str] = []
    for info in resolve(host, port, type=socket.SOCK_STREAM):
        text = str(info[4][0])
        try:
            check_address(host, text)
        except RefusedConnection as error:
            refused = error
        else:
            good.append(text)
    if not good:
        raise refused or OSError(f"{host}: the name has no address")
    return good


def check_url(url: str, *, what: str = "URL") -> None:
    """Raise AddressRefused for a URL that is no plain http or https URL of a host: another scheme, credentials, no host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise AddressRefused(f"{what} {url[:200]!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise AddressRefused(f"{what} {url[:200]!r}: not an http or https URL of a host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused(f"{what} of {host}: a user name or password in a URL is not accepted")
    if parts.query or parts.fragment:
        raise AddressRefused(f"{what} {url[:200]!r}: a base address has no query and no fragment")


def refusal_in(error: BaseException | None) -> str:
    """Return the message of a refused connection that is in an error or behind it, '' when there is none."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, RefusedConnection):
            return str(error)
        inner = getattr(error, "os_error", None)
        if isinstance(inner, RefusedConnection):
            return str(inner)
        if "local addresses are not allowed here" in str(inner or error):  # several attempts, joined into one OSError
            return str(inner or error)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return ""


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for: mapped, translated or tunnelled."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
