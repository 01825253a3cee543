"""Routing, admission and interruption over a real listener on loopback."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from pinion_contract.config import Limits
from pinion_runtime.errors import ComputeFailed
from pinion_runtime.server.admission import Admission, DrainRate
from pinion_runtime.server.app import App
from pinion_runtime.server.errors import ApiError, Code, queue_full
from pinion_runtime.server.http import ClientGone, Request, Response, json_response
from pinion_runtime.server.interrupt import Interruptible
from pinion_runtime.server.listener import Listener
from tests.support.logs import own_messages
from tests.support.observers import Recorder
from tests.support.serve import eventually

LIMIT = 1000


class Desk:
    """An application with one route of each kind."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.limits = Limits(max_body_bytes=LIMIT, max_concurrent_requests=1, max_queued_requests=1)
        self.admission = Admission(lambda: self.limits)
        self.waiting = asyncio.Event()
        self.stopped: list[type[BaseException]] = []
        self.app = App(
            {
                "/echo": {"POST": self.echo},
                "/wait": {"POST": self.wait},
                "/fail": {"GET": self.fail},
                "/compute": {"GET": self.compute},
                "/busy": {"GET": self.busy},
                "/things/": {"GET": self.thing},
            },
            self.recorder,
        )

    async def echo(self, request: Request) -> Response:
        with self.admission.slot():
            return json_response({"size": len(await self.admission.read_body(request))})

    async def wait(self, request: Request) -> Response:
        with self.admission.slot():
            await self.admission.read_body(request)
            try:
                async with Interruptible(request) as work:
                    with self.admission.working(work):
                        self.waiting.set()
                        await asyncio.Event().wait()
            except (ClientGone, ApiError) as why:
                self.stopped.append(type(why))
                raise
        raise AssertionError("waits for ever")

    async def fail(self, _: Request) -> Response:
        raise ValueError("a caller's secret words")

    async def compute(self, _: Request) -> Response:
        raise ApiError(500, Code.INTERNAL, "The engine failed: compute_failed.") from ComputeFailed("IndexError: out of range")

    async def busy(self, _: Request) -> Response:
        raise ApiError(503, Code.MODEL_NOT_READY, "not yet", retry_after=1)

    async def thing(self, request: Request) -> Response:
        return json_response({"name": request.path})


@dataclass
class Running:
    desk: Desk
    client: httpx.AsyncClient
    port: int
    listener: Listener


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    desk = Desk()
    listener = Listener(desk.app, "127.0.0.1", 0)
    port = listener.socket.getsockname()[1]
    task = asyncio.create_task(listener.serve_until_stopped())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield Running(desk, client, port, listener)
    listener.stop()
    await asyncio.wait_for(task, 60)


async def test_a_route_and_what_every_answer_says(running: Running) -> None:
    running.desk.recorder.cid = "bafy-test"
    answer = await running.client.post("/echo", content=b"x" * LIMIT)
    assert (answer.status_code, answer.json()) == (200, {"size": LIMIT})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-model-cid"] == "bafy-test"
    assert "server" not in answer.headers
    assert running.desk.recorder.answers == [("/echo", 200)]


async def test_a_callers_request_id_comes_back_when_it_is_harmless(running: Running) -> None:
    answer = await running.client.get("/things/a", headers={"x-request-id": "trace-1:2"})
    assert answer.headers["x-request-id"] == "trace-1:2"
    answer = await running.client.get("/things/a", headers={"x-request-id": "a b<script>"})
    assert answer.headers["x-request-id"] != "a b<script>"


@pytest.mark.parametrize("path", ["/", "/echo/", "//echo", "/things", "/things/", "/Echo", "/echo%20", "/caf%C3%A9", "/%00"])
async def test_no_such_path(running: Running, path: str) -> None:
    answer = await running.client.post(path, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert answer.headers["x-should-retry"] == "false"
    assert running.desk.recorder.answers == [("other", 404)]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_a_wrong_method(running: Running, method: str) -> None:
    answer = await running.client.request(method, "/echo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_a_prefix_takes_the_rest_as_one_name(running: Running) -> None:
    for path in ("/things/org/name", "/things/org%2Fname"):
        assert (await running.client.get(path)).json() == {"name": "/things/org/name"}
    assert {endpoint for endpoint, _ in running.desk.recorder.answers} == {"/things/{id}"}


async def test_head_is_get_without_a_body(running: Running) -> None:
    answer = await running.client.head("/things/a")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_an_error_in_a_route_is_a_500_without_its_text(running: Running) -> None:
    answer = await running.client.get("/fail")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "secret" not in answer.text
    assert running.desk.recorder.refusals == ["internal_error"]
    assert running.desk.recorder.failures == [("internal_error", "ValueError in /fail; the log has more")]


async def test_a_failed_computation_is_logged_and_told_with_its_reason(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await running.client.get("/compute")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert own_messages(caplog) == ["/compute failed: internal_error: IndexError: out of range"]
    assert running.desk.recorder.failures == [("internal_error", "IndexError: out of range")]
    assert running.desk.recorder.refusals == ["internal_error"]


async def test_what_is_no_fault_of_ours_is_no_failure(running: Running) -> None:
    for path in ("/nowhere", "/echo", "/busy"):
        await running.client.get(path)
    assert running.desk.recorder.failures == []


async def test_an_announced_body_that_is_too_large(running: Running) -> None:
    # One connection, twice: the refusal leaves it usable, because what was sent has been read.
    for _ in range(2):
        answer = await running.client.post("/echo", content=b"x" * 1_000_000)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert str(LIMIT) in answer.json()["error"]["message"]


async def test_a_body_in_chunks_that_grows_too_large(running: Running) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100

    answer = await running.client.post("/echo", content=pieces())
    assert answer.status_code == 413


async def test_a_body_that_waits_for_a_go_ahead_is_refused_without_being_sent(running: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\nexpect: 100-continue\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert head.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in head.lower()
    writer.close()
    await writer.wait_closed()


async def test_the_places_run_out_and_come_back(running: Running) -> None:
    desk = running.desk
    waiting = [asyncio.create_task(running.client.post("/wait", content=b"{}")) for _ in range(2)]
    await eventually(lambda: desk.admission.requests == 2)
    full = await running.client.post("/echo", content=b"{}")
    assert (full.status_code, full.json()["error"]["code"]) == (429, "queue_full")
    assert 1 <= int(full.headers["retry-after"]) <= 120
    assert full.headers["x-should-retry"] == "true"
    desk.limits = Limits(max_body_bytes=LIMIT, max_concurrent_requests=3, max_queued_requests=0)
    assert (await running.client.post("/echo", content=b"{}")).status_code == 200
    desk.admission.interrupt_all(ApiError(503, Code.SHUTTING_DOWN, "ending", retry_after=1))
    answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert desk.admission.requests == 0


async def test_a_client_that_goes_stops_its_work(running: Running) -> None:
    desk = running.desk
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
    await asyncio.wait_for(desk.waiting.wait(), 60)
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: desk.admission.requests == 0)
    assert desk.stopped == [ClientGone]
    assert desk.recorder.answers == [("/wait", 499)]


async def test_a_client_that_goes_in_the_middle_of_its_body(running: Running) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 200\r\n\r\n{")
    await eventually(lambda: running.desk.admission.requests == 1)
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: running.desk.admission.requests == 0)
    assert running.desk.recorder.answers == [("/echo", 499)]


async def test_a_draining_pod_lets_go_of_its_connections(running: Running) -> None:
    running.desk.recorder.ending = True
    answer = await running.client.get("/things/a")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def until_refused(url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with httpx.AsyncClient(timeout=60, verify=False) as client:
                    await client.get(url)
            except httpx.ConnectError:
                return
            except (httpx.ReadError, httpx.RemoteProtocolError):
                pass  # the kernel had taken the connection already when the listener was closed, and resets it
            await asyncio.sleep(0.01)


async def test_a_stop_waits_for_the_answer_under_way(running: Running) -> None:
    desk = running.desk
    request = asyncio.create_task(running.client.post("/wait", content=b"{}"))
    await asyncio.wait_for(desk.waiting.wait(), 60)
    running.listener.stop()
    await until_refused(f"http://127.0.0.1:{running.port}/things/a")
    assert not request.done()
    desk.admission.interrupt_all(ApiError(503, Code.SHUTTING_DOWN, "ending", retry_after=1))
    assert (await request).status_code == 503


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError("waits for ever")

    request = Request({"method": "POST", "path": "/", "headers": []}, receive)

    async def work() -> None:
        async with Interruptible(request):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("seconds", "first", "last"), [(0.1, 1, 4), (1, 2, 4), (30, 30, 60), (120, 60, 120), (900, 60, 120)])
def test_those_who_are_refused_together_are_not_asked_back_together(seconds: float, first: int, last: int) -> None:
    told = [int(dict(queue_full("The queue is full", seconds).headers())[b"retry-after"]) for _ in range(300)]
    assert first <= min(told) <= first + 4
    assert last - 4 <= max(told) <= last
    assert max(told.count(second) for second in told) < 200


def test_the_drain_rate_tells_when_a_place_is_free() -> None:
    now = [0.0]
    rate = DrainRate(clock=lambda: now[0])
    for _ in range(100):
        now[0] += 0.5
        rate.finished()
    assert rate.seconds_for(10) == pytest.approx(5, rel=0.01)
    now[0] += 60
    assert rate.seconds_for(0) == 60
