"""The download child's client where a hub redirects: who hears the token, and which address is connected to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from pinion_ipfs.errors import NoAnswer
from pinion_ipfs.net.addresses import NOT_LOCAL, AddressPolicy
from pinion_ipfs.net.token_hosts import TokenHosts
from pinion_ipfs.origin.client import Counter, OriginClient
from tests.support.environment import environment

TOKEN = {"Authorization": "Bearer hf_secret"}


def own_address() -> str:
    """Return an address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.fail("this machine has no address but loopback: nothing could be installed here either")
        return str(probe.getsockname()[0])


@asynccontextmanager
async def host(address: str, location: str = "") -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the URL of a server that redirects to `location`, or answers, and the heads of the requests it gets."""
    heard: list[str] = []
    status = f"302 Found\r\nLocation: {location}" if location else "200 OK"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, address, 0)
    async with server:
        yield "http://{}:{}".format(*server.sockets[0].getsockname()[:2]), heard


async def get(
    url: str, *, policy: AddressPolicy | None = None, hosts: TokenHosts | None = None, asked: str = ""
) -> httpx2.Response:
    def ask() -> httpx2.Response:
        counter, rule = Counter(lambda kind, **values: None), hosts or TokenHosts.only(url)
        with OriginClient(url, rule, {}, counter, 5.0, policy=policy) as client:
            return client.get((asked or url) + "/file", headers=TOKEN)

    with environment(http_proxy=None, HTTP_PROXY=None, all_proxy=None, ALL_PROXY=None):
        return await asyncio.to_thread(ask)


async def test_a_redirect_to_another_host_goes_without_the_token() -> None:
    async with host("127.0.0.1") as (there, heard_there), host("127.0.0.1", there + "/cdn") as (hub, heard_by_hub):
        assert (await get(hub)).status_code == 200
        assert ["authorization: bearer hf_secret" in head for head in heard_by_hub] == [True]
        assert ["hf_secret" in head for head in heard_there] == [False]


async def test_what_the_library_asks_of_another_host_goes_without_the_token() -> None:
    """It follows redirects by itself where it knows a host, and asks where an answer tells it to."""
    async with host("127.0.0.1") as (hub, _), host("127.0.0.1") as (there, heard_there):
        await get(hub, asked=there)
        named = TokenHosts.of_secret(f"{hub[7:]}, {there[7:]}", secret="hub", namespace="ml")
        await get(hub, hosts=named, asked=there)
    assert ["hf_secret" in head for head in heard_there] == [False, True]


async def test_where_a_redirect_of_a_strangers_hub_leads_is_judged_again() -> None:
    address = own_address()
    async with host("127.0.0.1") as (local, heard_by_local), host(address, local + "/inside") as (hub, heard_by_hub):
        with pytest.raises(NoAnswer, match=f"^{hub} does not answer, or leads to") as caught:
            await get(hub, policy=NOT_LOCAL)
        assert "loopback" in caught.value.cause, "for the log"
        assert len(heard_by_hub) == 1
        assert heard_by_local == []
