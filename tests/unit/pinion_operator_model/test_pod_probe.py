"""Asking pods for their status, over real HTTP on loopback addresses of their own."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pinion_contract.config import Limits
from pinion_contract.names import MANAGEMENT_PORT
from pinion_contract.status import ModelFacts, Phase, PodStatus, Transfer
from pinion_operator.probes.own_trouble import OwnTrouble
from pinion_operator.probes.pods import LARGEST_ANSWER, TIMEOUT_SECONDS, probe_pods
from tests.support.descriptors import no_descriptors

STATUS = PodStatus(phase=Phase.LOADING, config_digest="d", revision="r", limits=Limits(), model=ModelFacts(name="m"))
_OCTETS = itertools.count(2)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def pod(handler: Handler | None, **status: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield a pod's object; its management port answers with the handler, or nobody listens."""
    address = f"127.78.{1 + os.getpid() % 254}.{next(_OCTETS)}"  # tests run in several processes at once
    obj = {"metadata": {"name": "pod"}, "status": {"phase": "Running", "podIP": address, **status}}
    if handler is None:
        yield obj
        return
    app = web.Application()
    app.router.add_get("/status", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, address, MANAGEMENT_PORT).start()
    try:
        yield obj
    finally:
        await runner.cleanup()


async def honest(_: web.Request) -> web.StreamResponse:
    return web.Response(text=STATUS.model_dump_json(by_alias=True), content_type="application/json")


async def of_another_version(_: web.Request) -> web.StreamResponse:
    return web.json_response({"phase": "Ready"})


async def no_json(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>")


async def failing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503, text="upstream connect error")


async def redirecting(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:9/")


async def boasting(_: web.Request) -> web.StreamResponse:
    status = STATUS.model_copy(update={"transfer": Transfer(total_bytes=-1)})
    return web.Response(text=status.model_dump_json(by_alias=True))


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(2 * LARGEST_ANSWER // 65536):
        await answer.write(b" " * 65536)
    return answer


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(10 * TIMEOUT_SECONDS)
    return web.Response()


ANSWERS: dict[str, tuple[Handler | None, dict[str, Any], PodStatus | None, str]] = {
    "an honest one": (honest, {}, STATUS, ""),
    "no address yet": (None, {"podIP": ""}, None, ""),
    "not running yet": (honest, {"phase": "Pending"}, None, ""),
    "nobody listens": (None, {}, None, "connection refused or no route"),
    "of another version": (of_another_version, {}, None, "not a status that this operator knows: configDigest: Field required"),
    "no JSON": (no_json, {}, None, "not a status that this operator knows: body: Invalid JSON"),
    "an error of something between": (failing, {}, None, "HTTP 503"),
    "a claim that cannot be": (boasting, {}, None, "transfer.totalBytes is -1"),
    "a redirect is not followed": (redirecting, {}, None, "not a status"),
    "an endless one": (endless, {}, None, "ClientPayloadError"),
    "none in time": (silent, {}, None, "no answer in time"),
}


@pytest.mark.parametrize(("handler", "state", "status", "problem"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_answers(handler: Handler | None, state: dict[str, Any], status: PodStatus | None, problem: str) -> None:
    async with pod(handler, **state) as obj, aiohttp.ClientSession() as http:
        (found,) = await probe_pods(http, [obj])
    assert found.obj is obj
    assert found.status == status
    assert problem in found.problem
    assert bool(problem) == bool(found.problem)


async def test_pods_are_asked_side_by_side() -> None:
    asked, all_asked = 0, asyncio.Event()

    async def waiting_for_the_others(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 12:
            all_asked.set()
        await all_asked.wait()
        return await honest(request)

    async with pod(waiting_for_the_others) as obj, aiohttp.ClientSession() as http:
        found = await probe_pods(http, [obj] * 12)
    assert [one.status for one in found] == [STATUS] * 12


async def test_all_callers_together_ask_no_more_than_so_many_at_once() -> None:
    asked, most = 0, 0

    async def counting(request: web.Request) -> web.StreamResponse:
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await asyncio.sleep(0.02)
        asked -= 1
        return await honest(request)

    everybody = asyncio.Semaphore(3)
    async with pod(counting) as obj, aiohttp.ClientSession() as http:
        found = await asyncio.gather(*(probe_pods(http, [obj] * 4, everybody) for _ in range(5)))
    assert [one.status for pods in found for one in pods] == [STATUS] * 20
    assert most == 3


async def test_without_a_descriptor_nothing_is_said_of_a_pod() -> None:
    async with pod(honest) as obj, aiohttp.ClientSession() as http:
        with no_descriptors(), pytest.raises(OwnTrouble, match="Too many open files"):
            await probe_pods(http, [obj, obj])
        (found,) = await probe_pods(http, [obj])
    assert found.status == STATUS
