import ipaddress
import socket
from typing import Any

import pytest
from aiohttp import web

from pinion_ipfs.addresses import RefusedConnection, check_url, problem_of, resolve_checked
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import AddressRefused, BackendUnavailable

REFUSED = [
    "127.0.0.1",
    "127.255.0.3",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
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
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "::7f00:1",
]
CID = Cid.of_block(RAW, b"x")


@pytest.mark.parametrize("text", REFUSED)
def test_addresses_that_a_stranger_must_not_choose(text: str) -> None:
    assert problem_of(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["10.96.0.1", "192.168.1.1", "172.16.0.9", "1.1.1.1", "fd12::1", "2606:4700::1", "100.64.0.1"])
def test_addresses_of_clusters_and_of_the_internet_are_fine(text: str) -> None:
    assert problem_of(ipaddress.ip_address(text)) == ""


def test_a_name_is_judged_by_every_address_it_has() -> None:
    def answers(*addresses: str) -> Any:
        def resolve(host: str, port: int, **options: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        return resolve

    assert resolve_checked("a.example", 80, answers("127.0.0.1", "10.0.0.1")) == ["10.0.0.1"]
    with pytest.raises(RefusedConnection, match=r"a\.example leads to 169\.254\.169\.254: a cloud's metadata service"):
        resolve_checked("a.example", 80, answers("169.254.169.254"))
    with pytest.raises(OSError, match="no address"):
        resolve_checked("a.example", 80, answers())


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
        strict, own = Gateway("g", url, allow_local_addresses=False), Gateway("g", url)
        try:
            assert await own.block_get(CID) == b"x"
            assert connections == 1
            with pytest.raises(AddressRefused, match="not allowed here") as caught:
                await strict.block_get(CID)
            assert (caught.value.reason, caught.value.retryable) == ("InvalidConfig", False)
            assert connections == 1
        finally:
            await strict.close()
            await own.close()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("host", ["2130706433", "0", "127.1", "017700000001"])
async def test_short_spellings_of_addresses_are_no_hosts(host: str) -> None:
    gateway = Gateway("g", f"http://{host}:9", allow_local_addresses=False)
    with pytest.raises(BackendUnavailable, match=r"canonical|not allowed here"):
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
    gateway, kubo = Gateway("g", url), KuboRpc("k", url, allow_local_addresses=False)
    try:
        health = await gateway.probe()
        assert not health.usable
        assert "HTTP 302: a redirect, which is not followed" in health.reason
        assert asked == [f"/ipfs/{Cid.of_block(RAW, b'')}"]
        health = await kubo.probe()
        assert "loopback" in health.reason
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
