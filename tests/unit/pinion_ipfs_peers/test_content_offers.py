"""What a client offers beside its request changes nothing on the content port, and no body is read as a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from pinion_ipfs.net.sockets import listen
from pinion_ipfs.peers.answers import Shared
from pinion_ipfs.peers.server import Bounds, ContentServer, Token
from tests.support.raw_http import connect, post

OFFERS = {
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAA"),
    "beside keep-alive": ("Connection: keep-alive, Upgrade", "Upgrade: h2c"),
    "websocket": ("Connection: Upgrade", "Upgrade: websocket"),
    "foo": ("CONNECTION:UPGRADE", "UPGRADE:foo"),
}
WHOLE_GET = b"GET /stolen HTTP/1.1\r\nHost: test\r\n\r\n"
pytestmark = pytest.mark.asyncio(loop_scope="module")
offers = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text("secret\n")
    return file


@asynccontextmanager
async def serving(token_file: Path, bounds: Bounds) -> AsyncIterator[int]:
    """Yield the port of a server that shares nothing."""
    server = ContentServer(Shared("one"), Token(token_file), bounds)
    with listen("127.0.0.1", 0) as listener:
        await server.start(listener)
        yield listener.getsockname()[1]
        await server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(token_file: Path) -> AsyncIterator[int]:
    """Yield the port of one that waits long for its peers."""
    async with serving(token_file, Bounds(linger_seconds=10)) as number:
        yield number


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hurried(token_file: Path) -> AsyncIterator[int]:
    """Yield the port of one that hardly waits for the rest of a head."""
    async with serving(token_file, Bounds(head_seconds=0.2, linger_seconds=0.2)) as number:
        yield number


def get(*headers: str, version: str = "1.1") -> bytes:
    lines = [f"GET /v1/revisions/none HTTP/{version}", "Host: test", "Authorization: Bearer secret", *headers, "", ""]
    return "\r\n".join(lines).encode()


@offers
async def test_the_offer_is_ignored(port: int, offer: tuple[str, ...]) -> None:
    async with connect(port) as wire:
        await wire.send(get(*offer) + get(*offer, "Content-Length: 0") + get())
        answers = [await wire.answer() for _ in range(3)]
        assert {(answer.status, answer.body) for answer in answers} == {(404, b"nothing is known of this revision\n")}
        await wire.send(get(*offer))
        assert (await wire.answer()).status == 404


@offers
async def test_of_http_1_0(port: int, offer: tuple[str, ...]) -> None:
    async with connect(port) as wire:
        await wire.send(get(*offer[1:], version="1.0"))
        assert (await wire.answer()).headers["connection"] == "close"
        assert await wire.rest() == b""


@pytest.mark.parametrize("offer", [(), *OFFERS.values()], ids=["none", *OFFERS])
@pytest.mark.parametrize("body", [WHOLE_GET, b"x" * 3_000_000], ids=["a whole GET", "large"])
async def test_a_body_is_refused_once_and_never_read_as_a_request(port: int, offer: tuple[str, ...], body: bytes) -> None:
    async with connect(port) as wire:
        await wire.send(post("/v1/revisions/none", body, *offer))
        answer = await wire.answer()
        assert (answer.status, answer.body) == (400, b"a body, where none is taken\n")
        assert await wire.rest() == b""


async def test_a_body_in_chunks_is_refused_too(port: int) -> None:
    async with connect(port) as wire:
        await wire.send(get("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(WHOLE_GET), WHOLE_GET))
        assert (await wire.answer()).status == 400
        assert await wire.rest() == b""


async def test_half_a_head_is_told(hurried: int) -> None:
    async with connect(hurried) as wire:
        await wire.send(get() + b"GET /v1/revi")
        assert (await wire.answer()).status == 404
        answer = await wire.answer()
        assert (answer.status, answer.body) == (408, b"the head of the request did not arrive within 0.2 s\n")
        assert await wire.rest() == b""


async def test_more_bytes_of_a_head_give_it_no_more_time(hurried: int) -> None:
    async def trickle() -> None:
        while True:
            await wire.send(b"x")
            await asyncio.sleep(0.01)

    async with connect(hurried) as wire:
        await wire.send(b"GET /")
        sending = asyncio.create_task(trickle())
        assert (await wire.answer()).status == 408
        sending.cancel()


async def test_a_connection_without_a_request_is_closed(token_file: Path) -> None:
    async with serving(token_file, Bounds(idle_seconds=0.5)) as number, connect(number) as wire:
        assert await wire.rest() == b""
