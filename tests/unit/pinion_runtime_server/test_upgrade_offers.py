"""A client may offer another protocol (every JDK client does, and `curl --http2`): only the offer is ignored."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pinion_contract.config import Limits
from pinion_runtime.server.admission import Admission
from pinion_runtime.server.app import App
from pinion_runtime.server.http import Request, Response, json_response
from pinion_runtime.server.listener import Listener
from tests.support.observers import Recorder
from tests.support.raw_http import Answer, Wire, connect, post

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAA")
OFFERS = {
    "the JDK's and curl's": H2C,
    "another order": (H2C[2], H2C[1], H2C[0]),
    "beside keep-alive": ("Connection: keep-alive, Upgrade, HTTP2-Settings", *H2C[1:]),
    "two headers": ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c"),
    "other letters": ("CONNECTION: UPGRADE", "UPGRADE: H2C"),
    "no blanks": ("connection:upgrade,http2-settings", "upgrade:h2c"),
    "a list of protocols": ("Connection: upgrade", "Upgrade: h2c, websocket, foo/1"),
    "two offers": ("Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    "websocket": (
        *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "foo": ("Connection: Upgrade", "Upgrade: foo"),
    "TLS": ("Connection: Upgrade", "Upgrade: TLS/1.3"),
    "the proxies' header": ("Proxy-Connection: Upgrade", "Upgrade: h2c"),
    "without a connection header": ("Upgrade: h2c",),
    "without a protocol": ("Connection: Upgrade",),
    "an empty one": ("Connection: Upgrade", "Upgrade:"),
}
A_WHOLE_GET = b"GET /stolen HTTP/1.1\r\nHost: test\r\n\r\n"
BODIES = {"JSON": b'{"model":"m","input":"hello"}', "a whole GET": A_WHOLE_GET, "nothing": b"", "large": b"x" * 300_000}
pytestmark = pytest.mark.asyncio(loop_scope="module")
offers = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)


Echo = tuple[int, Recorder]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Echo]:
    """Yield the port of an echo, and what it tells."""
    recorder, limits = Recorder(), Limits()
    admission = Admission(lambda: limits)

    async def echo(request: Request) -> Response:
        with admission.slot():
            return Response(200, await admission.read_body(request))

    async def hello(_: Request) -> Response:
        return json_response("hello")

    listener = Listener(App({"/echo": {"POST": echo}, "/hello": {"GET": hello}}, recorder), "127.0.0.1", 0)
    serving = asyncio.create_task(listener.serve_until_stopped())
    yield listener.socket.getsockname()[1], recorder
    listener.stop()
    await serving


@pytest.fixture
def recorder(running: Echo) -> Recorder:
    running[1].answers.clear()
    return running[1]


@pytest.fixture
def port(running: Echo) -> int:
    return running[0]


async def still_usable(wire: Wire, recorder: Recorder, *expected: tuple[str, int]) -> None:
    """Check that the connection takes another request, and that there were no others than these."""
    await wire.send(post("/echo", b"again"))
    assert (await wire.answer()).body == b"again"
    assert recorder.answers == [*expected, ("/echo", 200)]


@offers
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_head_and_body_in_one_packet(port: int, recorder: Recorder, offer: tuple[str, ...], body: bytes) -> None:
    async with connect(port) as wire:
        await wire.send(post("/echo", body, *offer))
        assert (await wire.answer()).body == body
        await still_usable(wire, recorder, ("/echo", 200))


@offers
async def test_a_body_that_comes_later_and_in_pieces(port: int, recorder: Recorder, offer: tuple[str, ...]) -> None:
    request = post("/echo", A_WHOLE_GET, *offer)
    async with connect(port) as wire:
        await wire.send(request[:20], request[20 : -len(A_WHOLE_GET)])
        await wire.send(*(bytes([byte]) for byte in A_WHOLE_GET))
        assert (await wire.answer()).body == A_WHOLE_GET
        await still_usable(wire, recorder, ("/echo", 200))


@offers
async def test_a_body_in_chunks(port: int, recorder: Recorder, offer: tuple[str, ...]) -> None:
    head = "\r\n".join(["POST /echo HTTP/1.1", "Host: test", *offer, "Transfer-Encoding: chunked", "", ""]).encode()
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (A_WHOLE_GET, b"and more", A_WHOLE_GET)]
    for parts in ([head + b"".join(chunks) + b"0\r\n\r\n"], [head, *chunks, b"0\r\n\r\n"]):
        recorder.answers.clear()
        async with connect(port) as wire:
            await wire.send(*parts)
            assert (await wire.answer()).body == A_WHOLE_GET + b"and more" + A_WHOLE_GET
            await still_usable(wire, recorder, ("/echo", 200))


@offers
async def test_requests_behind_each_other(port: int, recorder: Recorder, offer: tuple[str, ...]) -> None:
    bodies = [b"one", A_WHOLE_GET, b"x" * 100_000, b"four"]
    requests = b"".join(post("/echo", body, *offer) for body in bodies)
    async with connect(port) as wire:
        await wire.send(requests)
        assert [(await wire.answer()).body for _ in bodies] == bodies
        await still_usable(wire, recorder, *[("/echo", 200)] * 4)


@offers
async def test_a_client_that_waits_for_a_go_ahead(port: int, recorder: Recorder, offer: tuple[str, ...]) -> None:
    request = post("/echo", b"hello", *offer, "Expect: 100-continue")
    async with connect(port) as wire:
        await wire.send(request[:-5])
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await wire.send(b"hello")
        assert (await wire.answer()).body == b"hello"
        await still_usable(wire, recorder, ("/echo", 200))


@offers
async def test_http_1_0(port: int, recorder: Recorder, offer: tuple[str, ...]) -> None:
    async with connect(port) as wire:
        await wire.send(post("/echo", A_WHOLE_GET, *offer, version="1.0"))
        answer = await wire.answer()
        assert (answer.body, answer.headers["connection"]) == (A_WHOLE_GET, "close")
        assert await wire.rest() == b""
    assert recorder.answers == [("/echo", 200)]


@offers
async def test_the_end_of_a_connection_is_still_one(port: int, offer: tuple[str, ...]) -> None:
    async with connect(port) as wire:
        await wire.send(post("/echo", b"hello", *offer, "Connection: close"))
        assert (await wire.answer()).headers["connection"] == "close"
        assert await wire.rest() == b""


@offers
@pytest.mark.parametrize(("line", "status"), [("GET /hello", 200), ("HEAD /hello", 200), ("GET /echo", 405), ("PUT /no", 404)])
async def test_other_methods_and_refusals(port: int, offer: tuple[str, ...], line: str, status: int) -> None:
    async def ask(*headers: str) -> Answer:
        async with connect(port) as wire:
            await wire.send("\r\n".join([f"{line} HTTP/1.1", "Host: test", "X-Request-Id: a", *headers, "", ""]).encode())
            return await wire.answer(head_only=line.startswith("HEAD"))

    offered, plain = await ask(*offer), await ask()
    assert (offered.status, offered.body) == (status, plain.body)
    assert offered.headers | {"date": ""} == plain.headers | {"date": ""}


async def test_a_packet_full_of_offers(port: int, recorder: Recorder) -> None:
    one = b"GET /hello HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with connect(port) as wire:
        await wire.send(one * 100)
        assert {(await wire.answer()).status for _ in range(100)} == {200}
        await still_usable(wire, recorder, *[("/hello", 200)] * 100)


@pytest.mark.needs_program("curl")
@pytest.mark.parametrize("more", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
@pytest.mark.parametrize("size", [5, 2_000_000])
async def test_curl(port: int, recorder: Recorder, more: list[str], size: int) -> None:
    url = f"http://127.0.0.1:{port}/echo"
    common = ["--silent", "--http2", "--max-time", "60"]
    command = ["curl", *common, *more, url, "--data-binary", "@-", "--next", *common, url, "-d", "two"]
    pipe = asyncio.subprocess.PIPE
    curl = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    printed, _ = await curl.communicate(b"h" * size)
    assert printed == b"h" * size + b"two"
    assert recorder.answers == [("/echo", 200)] * 2
