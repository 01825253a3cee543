"""Addresses that somebody else chose: which of them a connection may be made to, decided at the moment of connecting.

A name is judged by what it resolves to, and the address that was judged is the one that is connected to: a name that resolves
to something else the next time (DNS rebinding) gains nothing. Redirects are the callers' to refuse, or to judge again.
"""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from ..errors import AddressRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[..., list[Any]]  # socket.getaddrinfo

# What clouds answer on: an instance's or a pod's own credentials, for the most part.
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
            *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
        ),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")  # IPv4-compatible, long out of use
_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")  # RFC 2765
_NOWHERE = ipaddress.ip_network("0.0.0.0/8")  # "this network": Linux connects 0.0.0.0 to itself
# IANA's special-purpose addresses, spelled out: what a Python calls global differs from version to version.
_SPECIAL_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
            *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


class RefusedConnection(OSError):
    """Stops a client from connecting."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Where a URL that somebody else chose may lead. Where there is none (None), the URL is one's own, and leads anywhere."""

    public: bool  # to public addresses alone; else to all but those that are local to a machine or a cloud's own services
    networks: tuple[Network, ...] = ()  # and to these
    advice: str = ""  # ends the one message about all that has no answer

    def problem_of(self, address: Address) -> str:
        """Return why an address must not be connected to, "" when it may."""
        if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)) is not None:
            return self.problem_of(inner)
        allowed = [network for network in self.networks if address.version == network.version and address in network]
        if address in _METADATA:  # a network that is wide for another reason does not open these
            return "" if any(network.num_addresses == 1 for network in allowed) else "a cloud's metadata service"
        if allowed:
            return ""
        if problem := _local(address):
            return problem
        return "no public address" if self.public and not _is_public(address) else ""

    def check(self, host: str, text: str) -> None:
        """Raise RefusedConnection, naming `host`, when the address that it led to must not be connected to."""
        if problem := self.problem_of(ipaddress.ip_address(text.partition("%")[0])):
            shown = text if host in ("", text) else f"{host} leads to {text}"
            raise RefusedConnection(f"{shown}: {problem}, and such addresses are not asked")

    def no_answer(self, where: str) -> str:
        """Return what is said when nobody answers, whyever: who chose the URL must not learn what is behind it."""
        return f"{where[:200]} does not answer, or leads to an address that is not asked: {self.advice}"

    def make_socket(self, info: Any) -> socket.socket:
        """Make the socket of one connection attempt (aiohttp's `socket_factory`); raise RefusedConnection for its address."""
        family, kind, protocol, _, address = info
        self.check("", str(address[0]))
        return socket.socket(family, kind, protocol)

    def encode(self) -> dict[str, Any]:
        """Return the policy as JSON values."""
        return {"public": self.public, "networks": [str(network) for network in self.networks], "advice": self.advice}

    @classmethod
    def decode(cls, value: dict[str, Any]) -> Self:
        """Return the policy of JSON values."""
        return cls(value["public"], tuple(map(ipaddress.ip_network, value["networks"])), value["advice"])


NOT_LOCAL = AddressPolicy(
    public=False,
    advice="pods ask none that is local to them or their node, nor a cloud's metadata service (operator.allowLocalAddresses)",
)


def resolve_checked(host: str, port: int, policy: AddressPolicy, resolve: Resolve = socket.getaddrinfo) -> list[str]:
    """Resolve a name and return the addresses that may be connected to; blocking.

    Raise RefusedConnection when there are others only, OSError when there are none.
    """
    refused: RefusedConnection | None = None
    good: list[str] = []
    for info in resolve(host, port, type=socket.SOCK_STREAM):
        text = str(info[4][0])
        try:
            policy.check(host, text)
        except RefusedConnection as error:
            refused = error
        else:
            good.append(text)
    if not good:
        raise refused or OSError(f"{host}: the name has no address")
    return good


def resolve_url(url: str, policy: AddressPolicy, resolve: Resolve = socket.getaddrinfo) -> list[str]:
    """Return the addresses that a URL leads to, as far as its name tells now, and that may be connected to; blocking.

    Raise OSError when there is none, ValueError for what is no URL of a host.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url[:200]!r} names no host")
    return resolve_checked(parts.hostname, parts.port or 0, policy, resolve)


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


def _local(address: Address) -> str:
    """Return what makes an address local to a machine or its link, "" for none of that."""
    if address.is_unspecified or (address.version == 4 and address in _NOWHERE):
        return "no host's address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        return "a multicast or broadcast address"
    return ""


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _GLOBAL_6 and not any(address in network for network in _SPECIAL_6)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for: mapped, translated or tunnelled."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
