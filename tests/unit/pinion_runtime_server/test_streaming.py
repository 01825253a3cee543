"""Answers in pieces over a real listener: how they begin, how each is ended, and that nobody is served who does not read."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from pinion_contract.config import Limits
from pinion_runtime.server import sse
from pinion_runtime.server.admission import Admission
from pinion_runtime.server.app import App
from pinion_runtime.server.connection import Bounds
from pinion_runtime.server.cors import Cors
from pinion_runtime.server.errors import ApiError, Code
from pinion_runtime.server.http import Request, Response, StreamingResponse, json_response
from pinion_runtime.server.interrupt import Interruptible
from pinion_runtime.server.listener import Listener
from pinion_runtime.server.tasks.chat import protocol as chat
from pinion_runtime.server.tasks.generation.answers import Head, Usage
from tests.support.logs import own_messages
from tests.support.observers import Recorder
from tests.support.raw_http import SECONDS, connect, post
from tests.support.serve import eventually

BOUNDS = Bounds(stall_seconds=0.2, linger_seconds=0.2)
PATIENT = Bounds(stall_seconds=8.0)
LARGE = b"x" * 100_000
HEAD = Head("chatcmpl-1", 1, "m", include_usage=True)
CHUNKS = [
    chat.write_first_chunk(HEAD, 0),
    chat.write_chunk(HEAD, 0, "a kettle\r\n"),
    chat.write_chunk(HEAD, 0, " and\u2028tea"),
    chat.write_last_chunk(HEAD, 0, "stop"),
    chat.write_usage_chunk(HEAD, Usage(3, 4)),
]


class Desk:
    """An application that streams, in each way that a stream may go."""

    def __init__(self) -> None:
        self.recorder = Recorder(cid="bafy-test")
        self.admission = Admission(Limits)
        self.begun = self.produced = 0
        self.closed = 0  # streams whose pieces were closed
        self.left = 0  # streams whose place was given back
        self.go_on = asyncio.Event()
        self.turns: list[int] = []  # that others had between two pieces
        ways = {
            "/whole": self.whole,
            "/wait": self.wait,
            "/broken": self.broken,
            "/fails": self.fails,
            "/refused": self.refused,
            "/fails-first": self.fails_first,
            "/endless": self.endless,
            "/torrent": self.torrent,
            "/lines": self.lines,
            "/nothing": self.nothing,
            "/burst": self.burst,
        }
        routes = {path: {"POST": self.route(way), "GET": self.route(way)} for path, way in ways.items()}
        routes["/v1/chat/completions"] = {"POST": self.by_model(ways)}
        routes["/hello"] = {"GET": self.hello}
        self.app = App(routes, self.recorder, cors=Cors(lambda: ["https://page.example"]))

    def route(
        self, way: Callable[[], AsyncGenerator[bytes, None]]
    ) -> Callable[[Request], Awaitable[Response | StreamingResponse]]:
        async def handler(request: Request) -> StreamingResponse:
            async with AsyncExitStack() as held:
                held.callback(self.leave)
                held.enter_context(self.admission.slot())
                await self.admission.read_body(request)
                work = await held.enter_async_context(Interruptible(request))
                held.enter_context(self.admission.working(work))
                return StreamingResponse(self.counted(way()), held.pop_all())

        return handler

    def by_model(
        self, ways: dict[str, Callable[[], AsyncGenerator[bytes, None]]]
    ) -> Callable[[Request], Awaitable[Response | StreamingResponse]]:
        async def handler(request: Request) -> StreamingResponse:
            body = chat.parse_request(await self.admission.read_body(request))
            async with AsyncExitStack() as held:
                held.callback(self.leave)
                return StreamingResponse(self.counted(ways[f"/{body.options.model}"]()), held.pop_all())

        return handler

    def leave(self) -> None:
        self.left += 1

    async def counted(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self.begun += 1
        try:
            async for piece in pieces:
                self.produced += 1
                yield piece
        finally:
            self.closed += 1
            await pieces.aclose()

    async def hello(self, _: Request) -> Response:
        return json_response("hello")

    async def whole(self) -> AsyncGenerator[bytes, None]:
        for chunk in CHUNKS:
            yield chunk

    async def wait(self) -> AsyncGenerator[bytes, None]:
        await self.go_on.wait()
        self.go_on.clear()
        yield CHUNKS[0]
        await self.go_on.wait()
        yield CHUNKS[1]

    async def broken(self) -> AsyncGenerator[bytes, None]:
        for chunk in CHUNKS[:2]:
            yield chunk
        raise ApiError(503, Code.ENGINE_DIED, "The engine died.", retry_after=5)

    async def fails(self) -> AsyncGenerator[bytes, None]:
        yield CHUNKS[0]
        raise ValueError("a caller's secret words")

    async def refused(self) -> AsyncGenerator[bytes, None]:
        raise ApiError(400, Code.INVALID_REQUEST, "'top_p' must be above 0.", param="top_p")
        yield b""

    async def fails_first(self) -> AsyncGenerator[bytes, None]:
        raise ValueError("a caller's secret words")
        yield b""

    async def endless(self) -> AsyncGenerator[bytes, None]:
        yield CHUNKS[0]
        await asyncio.Event().wait()

    async def torrent(self) -> AsyncGenerator[bytes, None]:
        while True:  # and never waits
            yield LARGE

    async def burst(self) -> AsyncGenerator[bytes, None]:
        for number in range(20):  # and never waits
            asyncio.get_running_loop().call_soon(self.turns.append, number)
            yield CHUNKS[0]
            assert len(self.turns) == number + 1

    async def lines(self) -> AsyncGenerator[bytes, None]:
        yield CHUNKS[0]
        yield b"one\ntwo"

    async def nothing(self) -> AsyncGenerator[bytes, None]:
        for chunk in ():
            yield chunk


class Running:
    def __init__(self, desk: Desk, port: int, client: httpx.AsyncClient, listener: Listener) -> None:
        self.desk, self.port, self.client, self.listener = desk, port, client, listener

    async def over(self, streams: int = 1) -> None:
        """Wait until so many streams have ended, with nothing left behind, and return."""
        desk = self.desk
        await eventually(lambda: desk.closed == desk.left == streams and len(desk.recorder.answers) == streams, SECONDS)
        assert (desk.admission.requests, desk.app.in_flight) == (0, 0)


@asynccontextmanager
async def served(bounds: Bounds) -> AsyncIterator[Running]:
    desk = Desk()
    listener = Listener(desk.app, "127.0.0.1", 0, bounds)
    port = listener.socket.getsockname()[1]
    task = asyncio.create_task(listener.serve_until_stopped())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client:
        yield Running(desk, port, client, listener)
    listener.stop()
    await asyncio.wait_for(task, SECONDS)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with served(BOUNDS) as made:
        yield made


def events(text: bytes) -> list[bytes]:
    """Return the data of events, and check that there is nothing else."""
    *found, rest = text.split(b"\n\n")
    assert rest == b""
    assert all(each.startswith(b"data: ") and b"\n" not in each for each in found)
    return [each[6:] for each in found]


async def test_a_whole_answer(running: Running) -> None:
    for count in (1, 2):  # on one connection
        answer = await running.client.post("/whole", json={}, headers={"x-request-id": "mine"})
        assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
        assert events(answer.content) == [*CHUNKS, b"[DONE]"]
        await running.over(count)
    assert (
        answer.headers.items()
        >= {
            "content-type": "text/event-stream",
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            "transfer-encoding": "chunked",
            "x-request-id": "mine",
            "x-model-cid": "bafy-test",
            "vary": "origin",
        }.items()
    )
    assert "connection" not in answer.headers
    assert "content-length" not in answer.headers
    assert len(running.listener.server_state.connections) == 1
    assert running.desk.recorder.answers == [("/whole", 200)] * 2
    assert running.desk.recorder.refusals == []


async def test_a_page_may_read_it_and_a_draining_pod_lets_go(running: Running) -> None:
    running.desk.recorder.ending = True
    answer = await running.client.post("/whole", json={}, headers={"origin": "https://page.example"})
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert answer.headers["connection"] == "close"
    assert events(answer.content)[-1] == b"[DONE]"


async def test_each_piece_comes_at_once_and_nothing_before_the_first(running: Running) -> None:
    desk = running.desk
    async with connect(running.port) as wire:
        await wire.send(post("/wait", b"{}"))
        await eventually(lambda: desk.begun == 1, SECONDS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.reader.read(1), 0.05)
        desk.go_on.set()
        async with asyncio.timeout(SECONDS):
            head = await wire.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            first = sse.event(CHUNKS[0])
            assert await wire.reader.readuntil(b"\n\n\r\n") == b"%x\r\n%b\r\n" % (len(first), first)
            desk.go_on.set()
            assert (await wire.reader.readuntil(b"0\r\n\r\n")).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        await wire.send(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n")
        assert (await wire.answer()).json() == "hello"


@pytest.mark.parametrize(
    ("path", "status", "code", "failures"),
    [
        ("/refused", 400, "invalid_request", []),
        ("/fails-first", 500, "internal_error", [("internal_error", "ValueError in /fails-first; the log has more")]),
    ],
)
async def test_an_error_before_the_first_piece_is_an_answer_like_any_other(
    running: Running, path: str, status: int, code: str, failures: list[tuple[str, str]]
) -> None:
    answer = await running.client.post(path, json={})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["error"]["code"] == code
    assert "secret" not in answer.text
    assert answer.headers["x-should-retry"] == "false"
    await running.over()
    desk = running.desk
    assert (desk.recorder.answers, desk.recorder.refusals, desk.recorder.failures) == ([(path, status)], [code], failures)


@pytest.mark.parametrize(
    ("path", "before", "status", "code"),
    [
        ("/broken", 2, 503, "engine_died"),
        ("/fails", 1, 500, "internal_error"),
        ("/lines", 1, 500, "internal_error"),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_an_error_in_mid_stream_breaks_it_off(
    running: Running, caplog: pytest.LogCaptureFixture, path: str, before: int, status: int, code: str, version: str
) -> None:
    async with connect(running.port) as wire:
        await wire.send(post(path, b"{}", "connection: keep-alive", version=version))
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    if version == "1.1":
        assert not body.endswith(b"0\r\n\r\n")  # an end that says that nothing is missing
        body = re.sub(rb"[0-9a-f]+\r\n(data: [^\n]*\n\n)\r\n", rb"\1", body)
    *pieces, error = events(body)
    assert pieces == CHUNKS[:before]
    assert json.loads(error)["error"].keys() == {"message", "type", "param", "code"}
    assert (json.loads(error)["error"]["code"], json.loads(error)["error"]["type"]) == (code, "server_error")
    assert b"secret" not in error
    await running.over()
    assert (running.desk.recorder.answers, running.desk.recorder.refusals) == ([(path, status)], [code])
    assert [record.name for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_the_official_client_reads_a_stream(running: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(model="whole", messages=[{"role": "user", "content": "x"}], stream=True)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "a kettle\r\n and\u2028tea"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 7


@pytest.mark.parametrize(("model", "count", "words"), [("broken", 2, "The engine died."), ("fails", 1, "Internal error")])
async def test_the_official_client_raises_when_a_stream_breaks_off(
    running: Running, model: str, count: int, words: str
) -> None:
    chunks = []

    async def read(stream: openai.AsyncStream[ChatCompletionChunk]) -> None:
        async for chunk in stream:
            chunks.append(chunk)

    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], stream=True)
        with pytest.raises(openai.APIError, match=words) as raised:
            await read(stream)
    assert len(chunks) == count
    assert raised.value.body is not None


async def test_the_official_client_is_told_before_a_stream_begins(running: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{running.port}/v1", api_key="none", max_retries=0) as client:
        messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "x"}]
        asked: tuple[dict[str, Any], ...] = ({"model": "refused"}, {"model": "whole", "top_p": 0})
        for more in asked:
            with pytest.raises(openai.BadRequestError) as raised:
                await client.chat.completions.create(messages=messages, stream=True, **more)
            assert raised.value.param == "top_p"


async def test_a_client_that_reads_no_events_sees_a_broken_stream_too(running: Running) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        await running.client.post("/broken", json={})


def ask(model: str) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}]}).encode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/wait", b"{}"),  # which has not begun
        ("/endless", b"{}"),
        ("/torrent", b"{}"),
        ("/v1/chat/completions", ask("endless")),  # where the route itself does not watch the client
        ("/v1/chat/completions", ask("torrent")),
        ("/v1/chat/completions", ask("wait")),
    ],
)
async def test_a_client_that_goes_ends_it_at_once(running: Running, path: str, body: bytes) -> None:
    async with connect(running.port) as wire:
        await wire.send(post(path, body))
        await eventually(lambda: running.desk.begun == 1, SECONDS)
        if path != "/wait" and b"wait" not in body:
            await asyncio.wait_for(wire.reader.readuntil(b"data: "), SECONDS)
    await running.over()
    assert running.desk.recorder.answers == [(path, 499)]
    assert (running.desk.recorder.refusals, running.desk.recorder.failures) == ([], [])


async def test_a_client_that_stops_reading_is_waited_for_and_given_up(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as silent:
        silent.sendall(post("/torrent", b"{}"))
        await eventually(lambda: running.desk.produced > 0, SECONDS)
        await running.over()
        assert not running.listener.server_state.connections
    assert running.desk.recorder.answers == [("/torrent", 499)]
    assert running.desk.produced * len(LARGE) < 30_000_000  # what the kernel takes; nothing is gathered here


async def test_a_client_that_reads_slowly_is_waited_for() -> None:
    async with served(PATIENT) as running:
        async with connect(running.port) as wire:
            await wire.send(post("/torrent", b"{}"))
            for _ in range(12):  # which take longer than one may
                await asyncio.wait_for(wire.reader.readexactly(3_000_000), SECONDS)
                await asyncio.sleep(PATIENT.stall_seconds / 10)
            assert running.desk.recorder.answers == []
        await running.over()


async def test_the_end_of_the_grace_period_breaks_it_off(running: Running) -> None:
    async with connect(running.port) as wire:
        await wire.send(post("/endless", b"{}"))
        await asyncio.wait_for(wire.reader.readuntil(b"\n\n\r\n"), SECONDS)
        running.desk.admission.interrupt_all(ApiError(503, Code.SHUTTING_DOWN, "This pod is shutting down.", retry_after=1))
        rest = await wire.rest()
    assert b'"code":"shutting_down"' in rest
    assert b"[DONE]" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    await running.over()
    assert running.desk.recorder.answers == [("/endless", 503)]


async def test_a_stop_waits_for_the_end(running: Running) -> None:
    desk = running.desk
    request = asyncio.create_task(running.client.post("/wait", json={}))
    desk.go_on.set()
    await eventually(lambda: desk.produced == 1, SECONDS)
    running.listener.stop()
    await eventually(lambda: running.listener.socket.fileno() == -1 or not running.listener.servers[0].is_serving(), SECONDS)
    desk.go_on.set()
    assert events((await request).content)[-1] == b"[DONE]"


@pytest.mark.parametrize(("path", "status"), [("/whole", 200), ("/torrent", 200), ("/nothing", 200), ("/refused", 400)])
async def test_head_is_get_without_a_body(running: Running, path: str, status: int) -> None:
    async with connect(running.port) as wire:
        for count in (1, 2):
            await wire.send(b"HEAD %b HTTP/1.1\r\nhost: test\r\n\r\n" % path.encode())
            answer = await wire.answer(head_only=True)
            assert answer.status == status
            assert answer.headers["content-type"] == ("text/event-stream" if status == 200 else "application/json")
            await running.over(count)


async def test_others_have_their_turn_between_two_pieces(running: Running) -> None:
    answer = await running.client.post("/burst", json={})
    assert events(answer.content)[-1] == b"[DONE]", answer.content[-300:]


async def test_an_answer_of_no_pieces_has_an_end(running: Running) -> None:
    answer = await running.client.post("/nothing", json={})
    assert (answer.status_code, events(answer.content)) == (200, [b"[DONE]"])


async def test_a_client_of_http_1_0_reads_until_the_connection_ends(running: Running) -> None:
    async with connect(running.port) as wire:
        await wire.send(post("/whole", b"{}", "connection: keep-alive", version="1.0"))
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert events(body) == [*CHUNKS, b"[DONE]"]
    async with connect(running.port) as wire:
        await wire.send(b"GET /hello HTTP/1.0\r\n\r\n")
        assert (await wire.answer()).json() == "hello"


async def test_a_failure_is_logged_with_its_place(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        with pytest.raises(httpx.RemoteProtocolError):
            await running.client.post("/fails", json={})
        await running.over()
    assert own_messages(caplog) == ["error in /fails"]
    assert running.desk.recorder.failures == [("internal_error", "ValueError in /fails; the log has more")]


@pytest.mark.parametrize("data", [b"a\nb", b"a\rb", b"\n"])
def test_the_data_of_an_event_is_one_line(data: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        sse.event(data)
