"""What a client may keep us waiting for, each with a limit: a request, its head, its body, and the taking of its answer."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pinion_contract.config import Limits
from pinion_runtime.server.admission import Admission, Pace
from pinion_runtime.server.app import App
from pinion_runtime.server.connection import Bounds
from pinion_runtime.server.http import Request, Response, json_response
from pinion_runtime.server.listener import Listener
from tests.support.observers import Recorder
from tests.support.raw_http import SECONDS, Wire, connect, post
from tests.support.serve import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHORT = Bounds(head_seconds=0.2, rest_seconds=0.2, stall_seconds=0.2, linger_seconds=0.2)
BRIEF = Bounds(idle_seconds=3.0)
PATIENT = Bounds(stall_seconds=6.0)
LARGE = b"x" * 20_000_000  # more than the kernel takes
GET = b"GET /hello HTTP/1.1\r\nHost: test\r\n\r\n"


@dataclass
class Running:
    port: int
    recorder: Recorder
    listener: Listener
    finish: asyncio.Event  # what /wait waits for


@asynccontextmanager
async def served(pace: Pace, discard_seconds: float, bounds: Bounds) -> AsyncIterator[Running]:
    recorder, limits, finish = Recorder(), Limits(), asyncio.Event()
    admission = Admission(lambda: limits, pace)

    async def hello(_: Request) -> Response:
        return json_response("hello")

    async def large(_: Request) -> Response:
        return Response(200, LARGE)

    async def wait(_: Request) -> Response:
        await finish.wait()
        return json_response("done")

    async def echo(request: Request) -> Response:
        return Response(200, await admission.read_body(request))

    routes = {"/hello": {"GET": hello}, "/large": {"GET": large}, "/wait": {"GET": wait}, "/echo": {"POST": echo}}
    listener = Listener(App(routes, recorder, discard_seconds=discard_seconds), "127.0.0.1", 0, bounds)
    serving = asyncio.create_task(listener.serve_until_stopped())
    yield Running(listener.socket.getsockname()[1], recorder, listener, finish)
    listener.stop()
    await serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Running]:
    async with served(Pace(idle_seconds=0.2, bytes_per_second=1000), 0.2, SHORT) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def patient() -> AsyncIterator[Wire]:
    """Yield a connection of a server that waits long enough for whoever is held up."""
    async with served(Pace(idle_seconds=6.0, bytes_per_second=100), 2.0, PATIENT) as made, connect(made.port) as connected:
        yield connected


@pytest.fixture
def running(shared: Running) -> Running:
    shared.recorder.answers.clear()
    shared.recorder.refusals.clear()
    shared.finish.clear()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def wire(running: Running) -> AsyncIterator[Wire]:
    async with connect(running.port) as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="module")
async def brief() -> AsyncIterator[Running]:
    """Yield a server that soon lets go of a connection without a request."""
    async with served(Pace(), 2.0, BRIEF) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def brief_wire(brief: Running) -> AsyncIterator[Wire]:
    async with connect(brief.port) as connected:
        yield connected


async def trickle(wire: Wire, byte: bytes) -> None:
    while True:
        await wire.send(byte)
        await asyncio.sleep(0.01)


async def while_trickling(wire: Wire, byte: bytes, outcome: Callable[[], Awaitable[object]]) -> object:
    sending = asyncio.create_task(trickle(wire, byte))
    try:
        return await outcome()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_the_limits_of_a_server() -> None:
    assert Bounds() == Bounds(
        connections=4096,
        head_bytes=65536,
        head_seconds=20,
        idle_seconds=75,
        rest_seconds=10,
        stall_seconds=30,
        linger_seconds=2,
    )
    assert Pace() == Pace(idle_seconds=30, bytes_per_second=4096)


async def test_a_connection_without_a_request_is_closed_without_a_word(brief: Running, brief_wire: Wire) -> None:
    assert await brief_wire.rest() == b""
    assert brief.recorder.answers == []


async def test_blank_lines_are_no_request(brief: Running, brief_wire: Wire) -> None:
    await brief_wire.send(b"\r\n\r\n")
    assert await brief_wire.rest() == b""
    assert brief.recorder.answers == []


@pytest.mark.parametrize("cut", [1, 9, 26, len(GET) - 1])
@pytest.mark.parametrize("before", [0, 1])
async def test_a_part_of_a_head(running: Running, wire: Wire, cut: int, before: int) -> None:
    await wire.send(GET * before + GET[:cut])
    for _ in range(before):
        assert (await wire.answer()).status == 200
    answer = await wire.answer()
    assert (answer.status, answer.json()["error"]["code"]) == (408, "request_timeout")
    assert "0.2 s" in answer.json()["error"]["message"]
    assert answer.headers["connection"] == "close"
    assert await wire.rest() == b""
    assert running.recorder.answers == [("/hello", 200)] * before + [("other", 408)]
    assert running.recorder.refusals == ["request_timeout"]


@pytest.mark.parametrize("begun", [b"GET /", b"GET /hello HTTP/1.1\r\na: ", b"GET /hello HTTP/1.1\r\nupgrade: h2c\r\na"])
async def test_more_bytes_of_a_head_give_it_no_more_time(wire: Wire, begun: bytes) -> None:
    await wire.send(begun)
    answer = await while_trickling(wire, b"x", wire.answer)
    assert getattr(answer, "status", None) == 408


async def test_a_head_in_two_parts_is_one(patient: Wire) -> None:
    await patient.send(GET[:10])
    await patient.send(GET[10:])
    assert (await patient.answer()).status == 200


async def test_after_some_requests(brief: Running, brief_wire: Wire) -> None:
    for _ in range(3):
        await brief_wire.send(GET)
        assert (await brief_wire.answer()).status == 200
    assert await brief_wire.rest() == b""
    assert brief.recorder.answers == [("/hello", 200)] * 3


async def test_a_client_that_waits_for_us_is_not_cut(brief: Running, brief_wire: Wire) -> None:
    asyncio.get_running_loop().call_later(2 * BRIEF.idle_seconds, brief.finish.set)
    await brief_wire.send(b"GET /wait HTTP/1.1\r\n\r\n")
    assert (await brief_wire.answer()).status == 200


async def test_a_part_of_a_head_behind_a_request_waits_for_its_answer(running: Running, wire: Wire) -> None:
    asyncio.get_running_loop().call_later(2 * SHORT.head_seconds, running.finish.set)
    await wire.send(b"GET /wait HTTP/1.1\r\n\r\n" + GET[:10])
    assert [(await wire.answer()).status for _ in range(2)] == [200, 408]


async def test_a_body_that_stops(running: Running, wire: Wire) -> None:
    await wire.send(post("/echo", b"x" * 100)[:-50])
    answer = await wire.answer()
    assert (answer.status, answer.json()["error"]["code"]) == (408, "request_timeout")
    assert await wire.rest() == b""
    assert running.recorder.answers == [("/echo", 408)]


async def test_a_body_that_trickles(wire: Wire) -> None:
    await wire.send(post("/echo", b"x" * 100_000)[:-100_000])
    answer = await while_trickling(wire, b"x", wire.answer)
    assert getattr(answer, "status", None) == 408


async def test_a_slow_body_that_is_fast_enough(patient: Wire) -> None:
    body = b"x" * 1500
    await patient.send(post("/echo", body)[:-1500])
    for _ in range(15):  # which take longer than one may
        await patient.send(b"x" * 100)
        await asyncio.sleep(0.45)
    assert (await patient.answer()).body == body


@pytest.mark.parametrize("request_line", [b"GET /hello", b"POST /nowhere", b"DELETE /echo"])
async def test_a_body_that_nobody_reads(running: Running, wire: Wire, request_line: bytes) -> None:
    await wire.send(request_line + b" HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n")

    async def end() -> bytes:
        await wire.answer()
        with suppress(ConnectionResetError):  # for what it went on to write
            return await wire.rest()
        return b""

    assert await while_trickling(wire, b"x", end) == b""
    assert len(running.recorder.answers) == 1


async def until_none_is_left(running: Running) -> None:
    connections = running.listener.server_state.connections
    await eventually(lambda: not connections, SECONDS, "the server lets go of all connections")


@pytest.mark.parametrize("more", [b"", b"connection: close\r\n"])
@pytest.mark.parametrize("count", [1, 2])
async def test_an_answer_that_nobody_takes(running: Running, more: bytes, count: int) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as silent:
        silent.setblocking(False)
        silent.sendall(b"GET /large HTTP/1.1\r\n%b\r\n" % more * count)
        await eventually(lambda: bool(running.listener.server_state.connections), SECONDS)
        await until_none_is_left(running)


async def test_an_answer_that_is_taken_slowly(patient: Wire) -> None:
    await patient.send(b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
    await patient.reader.readuntil(b"\r\n\r\n")
    taken = 0
    while taken < len(LARGE):  # ten pieces, which take longer than one may
        taken += len(await patient.reader.readexactly(len(LARGE) // 10))
        await asyncio.sleep(PATIENT.stall_seconds / 8)
    assert await patient.rest() == b""
