import ipaddress
import json
import socket
from typing import Any

import pytest
from aiohttp import web

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.http import CheckedResolver
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import AddressRefused, BackendUnavailable
from pinion_ipfs.net.addresses import NOT_LOCAL, AddressPolicy, RefusedConnection, check_url, resolve_checked, resolve_url

LOCAL = [
    "127.0.0.1",
    "127.255.0.3",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "169.254.170.23",
    "224.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "168.63.129.16",
    "::",
    "::1",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "::7f00:1",
]
CLUSTER = [
    "10.96.0.1",
    "192.168.1.1",
    "172.16.0.9",
    "100.64.0.1",
    "fd12::1",
    "::ffff:10.96.0.1",
    "64:ff9b::a60:1",
    "2002:a60:1::",
]
NOT_PUBLIC = [
    *("192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "240.0.0.1", "239.1.2.3"),
    *("2001:db8::1", "2001::1", "3fff::1", "100::1", "64:ff9b:1::a00:1", "fec0::1", "5f00::1", "::2", "4000::1"),
    "2001:0:a00:1::f5ff:fffe",  # Teredo: 10.0.0.1 behind a relay
]
PUBLIC = ["1.1.1.1", "9.9.9.9", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::101:101"]
TENANT = AddressPolicy(public=True, advice="ask")
CID = Cid.of_block(RAW, b"x")


def problem(policy: AddressPolicy, text: str) -> str:
    return policy.problem_of(ipaddress.ip_address(text))


def allowing(*networks: str) -> AddressPolicy:
    return AddressPolicy(public=True, networks=tuple(map(ipaddress.ip_network, networks)), advice="ask")


@pytest.mark.parametrize("text", LOCAL)
def test_addresses_that_a_stranger_must_not_choose(text: str) -> None:
    assert problem(NOT_LOCAL, text)
    assert problem(TENANT, text)


@pytest.mark.parametrize("text", [*CLUSTER, *PUBLIC])
def test_pods_may_ask_the_cluster_and_the_internet(text: str) -> None:
    assert problem(NOT_LOCAL, text) == ""


@pytest.mark.parametrize("text", [*CLUSTER, *NOT_PUBLIC])
def test_the_operator_asks_nothing_that_is_not_public(text: str) -> None:
    assert problem(TENANT, text)


@pytest.mark.parametrize("text", PUBLIC)
def test_the_operator_asks_public_addresses(text: str) -> None:
    assert problem(TENANT, text) == ""


@pytest.mark.parametrize(
    ("networks", "text", "allowed"),
    [
        (["10.96.0.0/12"], "10.96.0.1", True),
        (["10.96.0.0/12"], "::ffff:10.96.0.1", True),
        (["10.96.0.0/12"], "64:ff9b::a60:1", True),
        (["10.96.0.0/12"], "10.112.0.1", False),
        (["10.96.0.0/12", "fd12::/16"], "fd12::9", True),
        (["fd12::/16"], "10.96.0.1", False),
        (["127.0.0.2/32"], "127.0.0.2", True),
        (["127.0.0.2/32"], "127.0.0.3", False),
        (["::/0"], "::ffff:10.96.0.1", False),  # a kernel connects to the IPv4 address
        (["0.0.0.0/0"], "10.0.0.1", True),
        (["0.0.0.0/0"], "::1", False),
        (["::1/128"], "::1", True),
        # A network that is wide for another reason does not open a cloud's metadata: it is named by itself.
        (["100.64.0.0/10"], "100.64.0.1", True),
        (["100.64.0.0/10"], "100.100.100.200", False),
        (["0.0.0.0/0"], "169.254.169.254", False),
        (["fc00::/7"], "fd00:ec2::254", False),
        (["169.254.169.254/32"], "169.254.169.254", True),
        (["169.254.169.254/32"], "::ffff:169.254.169.254", True),
    ],
)
def test_networks_that_are_allowed(networks: list[str], text: str, allowed: bool) -> None:
    assert (problem(allowing(*networks), text) == "") is allowed


def test_a_policy_travels_as_json() -> None:
    policy = allowing("10.0.0.0/8", "fd00::/8")
    assert AddressPolicy.decode(json.loads(json.dumps(policy.encode()))) == policy


def answers(*addresses: str) -> Any:
    def resolve(host: str, port: int, **options: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


def test_a_name_is_judged_by_every_address_it_has() -> None:
    assert resolve_checked("a.example", 80, NOT_LOCAL, answers("127.0.0.1", "10.0.0.1")) == ["10.0.0.1"]
    assert resolve_checked("a.example", 80, TENANT, answers("10.0.0.1", "1.1.1.1", "fe80::1%2")) == ["1.1.1.1"]
    with pytest.raises(RefusedConnection, match=r"a\.example leads to 169\.254\.169\.254: a cloud's metadata service"):
        resolve_checked("a.example", 80, NOT_LOCAL, answers("169.254.169.254"))
    with pytest.raises(RefusedConnection, match=r"leads to 10\.0\.0\.1: no public address"):
        resolve_checked("a.example", 80, TENANT, answers("10.0.0.1"))
    with pytest.raises(OSError, match="no address"):
        resolve_checked("a.example", 80, TENANT, answers())


async def test_a_backends_name_gives_only_the_addresses_that_may_be_connected_to() -> None:
    found = await CheckedResolver(TENANT, answers("10.0.0.1", "1.1.1.1", "2606:4700::1")).resolve("a.example", 80)
    assert [(one["host"], one["family"], one["hostname"]) for one in found] == [
        ("1.1.1.1", socket.AF_INET, "a.example"),
        ("2606:4700::1", socket.AF_INET6, "a.example"),
    ]
    with pytest.raises(OSError, match="no public address"):
        await CheckedResolver(TENANT, answers("10.0.0.1")).resolve("a.example", 80)


@pytest.mark.parametrize(
    ("url", "addresses", "problem"),
    [
        ("http://a.example", ["10.0.0.1"], "no public address"),
        ("http://a.example", ["10.0.0.1", "1.1.1.1"], ""),
        ("http://a.example", [], "no address"),
        ("http://", ["1.1.1.1"], "names no host"),
        ("http://[::1", ["1.1.1.1"], "Invalid IPv6 URL"),
        ("http://a.example:99999", ["1.1.1.1"], "Port out of range"),
    ],
)
def test_where_a_url_leads(url: str, addresses: list[str], problem: str) -> None:
    if not problem:
        assert resolve_url(url, TENANT, answers(*addresses)) == ["1.1.1.1"]
        return
    with pytest.raises((OSError, ValueError), match=problem):
        resolve_url(url, TENANT, answers(*addresses))


SPELLINGS = ["127.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.1", "[::ffff:127.0.0.1]", "localhost"]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_address_leads_there(host: str) -> None:
    """As the resolver of this machine reads it."""
    with pytest.raises(RefusedConnection, match="a loopback address"):
        resolve_url(f"http://{host}:9", TENANT)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://a/", "file:///etc/passwd", "http://", "http://u:p@a/", "http://a/?x=1", "http://a/#x", "http://a:99999/"],
)
def test_urls_that_are_no_base_address(url: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        check_url(url)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    connections = 0

    async def count(request: web.Request) -> web.Response:
        nonlocal connections
        connections += 1
        return web.Response(body=b"x")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", count)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "::1" if host == "[::1]" else "127.0.0.1", 0)
        await site.start()
        url = f"http://{host}:{runner.addresses[0][1]}"
        strict, own = Gateway("g", url, policy=NOT_LOCAL), Gateway("g", url)
        try:
            assert await own.block_get(CID) == b"x"
            assert connections == 1
            with pytest.raises(BackendUnavailable, match="does not answer, or leads to an address that is not asked"):
                await strict.block_get(CID)
            assert connections == 1
        finally:
            await strict.close()
            await own.close()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("host", ["2130706433", "0", "127.1", "017700000001"])
async def test_short_spellings_of_addresses_are_no_hosts(host: str) -> None:
    gateway = Gateway("g", f"http://{host}:9", policy=NOT_LOCAL)
    with pytest.raises(BackendUnavailable, match="is not asked"):
        await gateway.block_get(CID)
    await gateway.close()


async def test_redirects_are_not_followed_and_kubo_has_the_same_policy() -> None:
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/secret")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://{}:{}".format(*runner.addresses[0][:2])
    gateway, kubo = Gateway("g", url), KuboRpc("k", url, policy=NOT_LOCAL)
    try:
        health = await gateway.probe()
        assert not health.usable
        assert "HTTP 302: a redirect, which is not followed" in health.reason
        assert asked == [f"/ipfs/{Cid.of_block(RAW, b'')}"]
        health = await kubo.probe()
        assert "is not asked" in health.reason
        assert len(asked) == 1
    finally:
        await gateway.close()
        await kubo.close()
        await runner.cleanup()


async def test_kubos_redirects_are_not_followed_either() -> None:
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/secret")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kubo = KuboRpc("k", "http://{}:{}".format(*runner.addresses[0][:2]))
    try:
        with pytest.raises(BackendUnavailable, match="HTTP 307: a redirect, which is not followed"):
            await kubo.block_get(CID)
        assert asked == ["/api/v0/block/get"]
    finally:
        await kubo.close()
        await runner.cleanup()
