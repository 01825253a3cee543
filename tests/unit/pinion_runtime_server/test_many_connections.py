"""More connections than a port takes: who waits for us is kept, who is waited for goes, the longest first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pinion_runtime.pod.descriptors import share
from pinion_runtime.server.app import App
from pinion_runtime.server.connection import Bounds
from pinion_runtime.server.http import Request, Response, json_response
from pinion_runtime.server.listener import Listener
from pinion_runtime.server.refusal_log import RefusalLog
from tests.support.logs import own_messages
from tests.support.observers import Recorder
from tests.support.raw_http import Wire, connect
from tests.support.serve import eventually

MOST = 3
GET = b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n"
WAIT = GET.replace(b"/hello", b"/wait")


@dataclass
class Running:
    port: int
    listener: Listener
    recorder: Recorder
    finish: asyncio.Event
    opened: AsyncExitStack

    async def connect(self, sent: bytes = b"") -> Wire:
        """Open a connection that the server has, and send something."""
        connections = self.listener.server_state.connections
        before = set(connections)
        wire = await self.opened.enter_async_context(connect(self.port))
        await eventually(lambda: bool(set(connections) - before))
        await wire.send(sent)
        return wire


@pytest_asyncio.fixture
async def running() -> AsyncIterator[Running]:
    recorder, finish = Recorder(), asyncio.Event()

    async def hello(_: Request) -> Response:
        return json_response("hello")

    async def wait(_: Request) -> Response:
        await finish.wait()
        return json_response("done")

    app = App({"/hello": {"GET": hello}, "/wait": {"GET": wait}}, recorder)
    listener = Listener(app, "127.0.0.1", 0, Bounds(connections=MOST))
    serving = asyncio.create_task(listener.serve_until_stopped())
    async with AsyncExitStack() as opened:
        yield Running(listener.socket.getsockname()[1], listener, recorder, finish, opened)
    listener.stop()
    await serving


async def test_the_longest_idle_makes_room(running: Running) -> None:
    first, second, third = [await running.connect() for _ in range(MOST)]
    await first.send(GET)
    assert (await first.answer()).status == 200  # now the second is idle for longest
    newest = await running.connect(GET)
    assert await second.rest() == b""
    for wire in (first, third):
        await wire.send(GET)
        assert (await wire.answer()).status == 200
    assert (await newest.answer()).status == 200


async def test_half_a_head_holds_no_place_either(running: Running) -> None:
    halves = [await running.connect(GET[:9]) for _ in range(MOST)]
    newest = await running.connect(GET)
    assert (await newest.answer()).status == 200
    assert await halves[0].rest() == b""


async def test_when_all_wait_for_us_a_new_one_is_turned_away(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    waiting = [await running.connect(WAIT) for _ in range(MOST)]
    await eventually(lambda: len(running.listener.server_state.tasks) == MOST)
    async with connect(running.port) as newest:
        answer = await newest.answer()
        assert (answer.status, answer.json()["error"]["code"]) == (429, "queue_full")
        assert answer.headers["retry-after"] in {"2", "3", "4"}
        assert await newest.rest() == b""
    assert running.recorder.answers == [("other", 429)]
    (told,) = own_messages(caplog)
    assert told == "refused a connection of 127.0.0.1: All 3 connections of this port are in use; try again later."
    running.finish.set()
    for wire in waiting:
        assert (await wire.answer()).status == 200
    assert (await (await running.connect(GET)).answer()).status == 200


@pytest.mark.parametrize(("limit", "each"), [(100, 16), (1024, 384), (16_384, 4096), (1_000_000, 4096)])
def test_a_port_leaves_descriptors_for_the_rest(limit: int, each: int) -> None:
    assert share(limit) == each


def test_the_log_of_refusals_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = RefusalLog(clock=lambda: now[0])
    for _ in range(50):
        log.refused("a", "why")
    assert own_messages(caplog) == ["refused a connection of a: why"] * 20
    caplog.clear()
    now[0] = 10.0
    log.refused("b", "why")
    assert own_messages(caplog) == [
        "refused 30 more connections, which are not listed",
        "refused a connection of b: why",
    ]
