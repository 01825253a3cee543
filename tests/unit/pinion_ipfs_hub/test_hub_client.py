import asyncio
import time
from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest

from devcluster.hubmirror.faults import Fault
from devcluster.hubmirror.repository import Settings
from pinion_ipfs.errors import AddressRefused, NoAnswer, Unauthorized
from pinion_ipfs.hub.client import CheckedTransport, transport_for
from pinion_ipfs.hub.errors import retry_after
from pinion_ipfs.hub.revisions import RepoId, resolve_commit
from pinion_ipfs.net.addresses import NOT_LOCAL
from tests.support.environment import environment

COMMIT = "c" * 40


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("0", 0), ("", None), ("soon", None), ("-1", None), ("9" * 20, None)])
def test_retry_after_is_a_number_of_seconds(value: str, seconds: float | None) -> None:
    assert retry_after(httpx2.Response(429, headers={"Retry-After": value})) == seconds


def test_retry_after_may_be_a_date() -> None:
    later, past = formatdate(time.time() + 100, usegmt=True), formatdate(time.time() - 100, usegmt=True)
    assert 50 < (retry_after(httpx2.Response(429, headers={"Retry-After": later})) or 0) <= 100
    assert retry_after(httpx2.Response(429, headers={"Retry-After": past})) == 0


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä", "a\r\nHost: x"])
async def test_a_token_that_is_none_is_named_and_not_sent(token: str) -> None:
    with pytest.raises(Unauthorized, match="the token is none") as caught:
        await resolve_commit(RepoId.parse("a/b"), "main", endpoint="http://127.0.0.1:9", token=token)
    assert token not in str(caught.value)


def test_a_strangers_endpoint_has_a_transport_that_checks() -> None:
    with environment(http_proxy=None, HTTP_PROXY=None, all_proxy=None, ALL_PROXY=None):
        assert transport_for("http://10.0.0.1", None) is None
        assert isinstance(transport_for("http://10.0.0.1", NOT_LOCAL), CheckedTransport)
        with pytest.raises(AddressRefused):
            transport_for("ftp://10.0.0.1", NOT_LOCAL)


async def test_with_a_proxy_of_the_environment_that_one_connects() -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        body = b'{"sha": "%s"}' % COMMIT.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with environment(http_proxy=address, HTTP_PROXY=None, no_proxy=None, NO_PROXY=None):
            commit = await resolve_commit(RepoId.parse("a/b"), "main", endpoint="http://hub.invalid", policy=NOT_LOCAL)
    assert str(commit) == COMMIT
    assert len(heard) == 1  # and nothing else is asked of anybody
    assert heard[0].startswith(b"GET http://hub.invalid/api/models/a/b/revision/main?blobs=true HTTP/1.1")


async def test_a_proxy_is_not_given_what_leads_to_an_address_that_is_not_asked() -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.close()

    heard: list[bytes] = []
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with environment(http_proxy=address, HTTP_PROXY=None, no_proxy=None, NO_PROXY=None):
            for host in ("169.254.169.254", "2852039166", "127.1", "localhost"):
                with pytest.raises(NoAnswer):
                    await resolve_commit(RepoId.parse("a/b"), "main", endpoint=f"http://{host}", policy=NOT_LOCAL)
    assert heard == []


def test_the_mirror_takes_only_faults_that_it_knows(tmp_path: Path) -> None:
    (tmp_path / ".mirror.json").write_text('{"faults": [{"kind": "flip", "on": "GET x", "at": 0.1}], "rate": 5}')
    assert Settings.read(tmp_path).faults == (Fault("flip", "GET x", at=0.1),)
    for bad in ('{"faults": [{"kind": "explode"}]}', '{"faults": [{"kind": "flip", "where": "x"}]}', '{"fault": []}'):
        (tmp_path / ".mirror.json").write_text(bad)
        with pytest.raises(ValueError, match="unknown"):
            Settings.read(tmp_path)
