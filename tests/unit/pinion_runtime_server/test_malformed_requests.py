"""What is no request gets the shape of all other refusals, is counted and logged, and comes after the answers that are due."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pinion_contract.config import Limits
from pinion_runtime.server.admission import Admission
from pinion_runtime.server.app import App
from pinion_runtime.server.connection import Bounds
from pinion_runtime.server.http import Request, Response, json_response
from pinion_runtime.server.listener import Listener
from tests.support.observers import Recorder
from tests.support.raw_http import SECONDS, Answer, Wire, connect, post
from tests.support.serve import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEAD = 4096
GET = b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n"
OFFER = b"connection: upgrade\r\nupgrade: h2c\r\n"


@dataclass
class Running:
    port: int
    recorder: Recorder
    finish: asyncio.Event
    waiting: asyncio.Event


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Running]:
    recorder, limits, finish, waiting = Recorder("bafy-test"), Limits(), asyncio.Event(), asyncio.Event()
    admission = Admission(lambda: limits)

    async def hello(_: Request) -> Response:
        return json_response("hello")

    async def wait(_: Request) -> Response:
        waiting.set()
        await finish.wait()
        return json_response("done")

    async def echo(request: Request) -> Response:
        return Response(200, await admission.read_body(request))

    routes = {"/hello": {"GET": hello}, "/wait": {"GET": wait}, "/echo": {"POST": echo}}
    bounds = Bounds(head_bytes=HEAD, linger_seconds=10)
    listener = Listener(App(routes, recorder), "127.0.0.1", 0, bounds)
    serving = asyncio.create_task(listener.serve_until_stopped())
    yield Running(listener.socket.getsockname()[1], recorder, finish, waiting)
    listener.stop()
    await serving


@pytest.fixture
def running(shared: Running) -> Running:
    shared.recorder.answers.clear()
    shared.recorder.refusals.clear()
    shared.finish.clear()
    shared.waiting.clear()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def wire(running: Running) -> AsyncIterator[Wire]:
    async with connect(running.port) as connected:
        yield connected


def check(answer: Answer, status: int, code: str) -> str:
    assert answer.status == status, answer
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-model-cid"] == "bafy-test"
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-should-retry"] in ("true", "false")
    message: str = error["message"]
    return message


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  # HTTP/2 without asking
        b"GET /hello HTTP/1.1\n\n",
        b"GET hello HTTP/1.1\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\n\r\n",
        b"GET /he\x00llo HTTP/1.1\r\n\r\n",
        b"get /hello HTTP/1.1\r\n\r\n",
        b"SMUGGLE /hello HTTP/1.1\r\n\r\n",
        b"GET http://host HTTP/1.1\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nhost : test\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nhost: te\x00st\r\n\r\n",
        b"GET /hello HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"POST /echo HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\n" + OFFER + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_the_library_cannot_parse(running: Running, wire: Wire, sent: bytes) -> None:
    await wire.send(sent)
    check(await wire.answer(), 400, "malformed_http")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("other", 400)]
    assert running.recorder.refusals == ["malformed_http"]


@pytest.mark.parametrize(
    "sent",
    [b"GET /hello\r\n\r\n", b"GET /hello HTTP/0.9\r\n\r\n", b"GET /hello HTTP/2.0\r\n\r\n", b"GET /hello HTTP/3.0\r\n\r\n"],
)
async def test_other_versions(running: Running, wire: Wire, sent: bytes) -> None:
    await wire.send(sent)
    check(await wire.answer(), 505, "malformed_http")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("other", 505)]


@pytest.mark.parametrize("sent", [b"CONNECT host:443 HTTP/1.1\r\n\r\n", b"CONNECT /echo HTTP/1.1\r\n" + OFFER + b"\r\n"])
async def test_a_tunnel(running: Running, wire: Wire, sent: bytes) -> None:
    await wire.send(sent + GET)
    check(await wire.answer(), 405, "method_not_allowed")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("other", 405)]


LONG = b"x" * 3 * HEAD


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET /" + LONG + b" HTTP/1.1\r\n\r\n"],
        [b"GET /" + LONG],
        [b"GET /hello HTTP/1.1\r\na: " + LONG + b"\r\n\r\n"],
        [b"GET /hello HTTP/1.1\r\na: " + LONG],
        [b"GET /hello HTTP/1.1\r\n" + LONG],
        [b"GET /hello HTTP/1.1\r\n" + b"a: b\r\n" * HEAD],
        [b"GET /hello HTTP/1.1\r\n" + b"a:\r\n" * HEAD + b"\r\n"],
        [b"GET /hello HTTP/1.1\r\n", *[b"a: b\r\n"] * 1000],
        [b"GET /hello HTTP/1.1\r\n" + OFFER + b"a: " + LONG + b"\r\n\r\n"],
        [b"\r\n" * HEAD],
        [GET + b"GET /hello HTTP/1.1\r\na: ", LONG],
    ],
    ids=range(11),
)
async def test_a_head_that_is_too_long(running: Running, wire: Wire, parts: list[bytes]) -> None:
    with contextlib.suppress(ConnectionError):  # it may be refused before all is sent
        await wire.send(*parts)
    answer = await wire.answer()
    if answer.status == 200:
        answer = await wire.answer()
    assert str(HEAD) in check(answer, 431, "request_too_large")
    assert await wire.rest() == b""
    assert running.recorder.answers[-1] == ("other", 431)


async def test_just_as_long_as_is_taken(wire: Wire) -> None:
    await wire.send(b"GET /hello HTTP/1.1\r\na: " + b"x" * (HEAD - 30) + b"\r\n\r\n")
    assert (await wire.answer()).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"5\r\nhelloX",
        b"5;" + LONG,
        b"0\r\na: " + LONG,
        b"0\r\n" + b"a: b\r\n" * HEAD,
        b"0\r\nno colon\r\n\r\n",
        b"ffffffffffffffffff\r\n",
    ],
    ids=range(7),
)
async def test_chunks_that_are_none(running: Running, wire: Wire, body: bytes) -> None:
    await wire.send(CHUNKED, b"5\r\nhello\r\n", body)
    answer = await wire.answer()
    check(answer, *((431, "request_too_large") if len(body) > HEAD else (400, "malformed_http")))
    assert await wire.rest() == b""
    assert running.recorder.answers == [("/echo", answer.status)]


async def test_a_chunk_that_is_none_in_the_packet_of_its_head(running: Running, wire: Wire) -> None:
    await wire.send(CHUNKED + b"zz\r\n")
    check(await wire.answer(), 400, "malformed_http")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("/echo", 400)]


async def test_a_body_that_breaks_after_its_request_was_answered(running: Running, wire: Wire) -> None:
    await wire.send(CHUNKED.replace(b"POST /echo", b"GET /hello"))
    assert (await wire.answer()).status == 200
    await wire.send(b"zz\r\n")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("/hello", 200)]


async def test_a_trailer_is_no_header(wire: Wire) -> None:
    await wire.send(CHUNKED + b"5\r\nhello\r\n0\r\ncontent-encoding: gzip\r\n\r\n")
    assert (await wire.answer()).body == b"hello"


async def test_the_answers_that_are_due_come_first(running: Running, wire: Wire) -> None:
    await wire.send(b"GET /wait HTTP/1.1\r\n\r\n" + post("/echo", b"two") + b"nonsense\r\n\r\n")
    await asyncio.wait_for(running.waiting.wait(), SECONDS)
    running.finish.set()
    assert [(await wire.answer()).body for _ in range(2)] == [b'"done"', b"two"]
    check(await wire.answer(), 400, "malformed_http")
    assert await wire.rest() == b""
    assert sorted(running.recorder.answers) == [("/echo", 200), ("/wait", 200), ("other", 400)]


async def test_so_do_those_before_a_body_that_is_cut_wrongly(running: Running, wire: Wire) -> None:
    await wire.send(b"GET /wait HTTP/1.1\r\n\r\n" + CHUNKED + b"zz\r\n")
    await asyncio.wait_for(running.waiting.wait(), SECONDS)
    running.finish.set()
    assert (await wire.answer()).body == b'"done"'
    check(await wire.answer(), 400, "malformed_http")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("/wait", 200), ("/echo", 400)]


async def test_more_requests_behind_each_other_than_are_kept(running: Running, wire: Wire) -> None:
    await wire.send(b"GET /wait HTTP/1.1\r\n\r\n" + GET * 200)
    await asyncio.wait_for(running.waiting.wait(), SECONDS)
    running.finish.set()
    answers = [await wire.answer() for _ in range(130)]
    assert [answer.status for answer in answers] == [200] * 129 + [429]
    check(answers[-1], 429, "queue_full")
    assert await wire.rest() == b""


async def test_a_client_that_goes_ends_all_its_requests(running: Running) -> None:
    async with connect(running.port) as wire:
        await wire.send(b"POST /echo HTTP/1.1\r\ncontent-length: 9\r\n\r\n")
        await eventually(lambda: True)
    await eventually(lambda: running.recorder.answers == [("/echo", 499)], SECONDS)


@pytest.mark.parametrize("size", [10_000, 3_000_000])
async def test_a_client_that_still_writes_gets_its_answer(running: Running, wire: Wire, size: int) -> None:
    sending = asyncio.create_task(wire.send(b"nonsense " + b"x" * size))
    check(await wire.answer(), 400, "malformed_http")
    assert await wire.rest() == b""
    await asyncio.gather(sending, return_exceptions=True)
