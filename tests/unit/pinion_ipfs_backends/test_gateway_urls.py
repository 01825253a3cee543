"""Gateways with several URLs: the next one goes on where a failed one stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.verify import unpack_car
from pinion_ipfs.errors import BackendUnavailable, BlockMismatch, ContentMissing, MalformedCar
from tests.support.cars import make_car, make_tree, unpack

MIB = 1024 * 1024
FILES = {"a": b"hello", "b/c": bytes(range(256)) * 8192, "d": b"w" * (MIB + 5)}
ROOT, CAR = make_car(FILES)
BLOCKS = dict(make_tree(FILES).nodes)
Spoil = Callable[[bytes], bytes]


@asynccontextmanager
async def gateway_of(spoil: Spoil, log: list[str], *, status: int = 200, stall_at: int | None = None) -> AsyncIterator[str]:
    """Yield the URL of a gateway that has the test's DAG, spoilt."""

    async def handle(request: web.Request) -> web.StreamResponse:
        log.append(request.query["format"])
        if status != 200:
            return web.Response(status=status)
        if request.query["format"] == "raw":
            block = BLOCKS.get(Cid.parse(request.path.removeprefix("/ipfs/")))
            return web.Response(body=spoil(block)) if block else web.Response(status=404)
        body = spoil(CAR)
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(body), 50_000):
            if stall_at is not None and start >= stall_at:
                await asyncio.Event().wait()
            await response.write(body[start : start + 50_000])
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def right(data: bytes) -> bytes:
    return data


def flipped(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 3]


def other(data: bytes) -> bytes:
    return make_car({"x": b"y"})[1]


def without_repeats(data: bytes) -> bytes:
    """Return what a gateway gives that says `dups=n`."""
    second = CAR.rindex(FILES["b/c"][:MIB])  # the second of two equal leaves; its length and CID take 39 bytes
    return CAR[: second - 39] + CAR[second + MIB :]


def extra(data: bytes) -> bytes:
    return data + CAR[-(MIB // 2) :]


@pytest.mark.parametrize("spoil", [flipped, cut, other, extra])
async def test_the_next_url_goes_on_where_a_wrong_one_stopped(spoil: Spoil) -> None:
    wrong: list[BlockMismatch] = []
    log: list[str] = []
    async with gateway_of(spoil, log) as first, gateway_of(right, log) as second:
        gateway = Gateway("g", [first, second], on_wrong=wrong.append)
        chunks = [chunk async for chunk in gateway.dag_export(ROOT)]
        assert b"".join(chunks) == CAR
        assert await unpack(b"".join(chunks), ROOT) == FILES
        assert log == ["car", "car"]
        await gateway.close()
    if spoil is flipped:
        (error,) = wrong
        assert (error.source, error.path, error.block) == ("g", "b/c", 1)
    else:
        assert wrong == []


async def test_repeats_that_a_url_leaves_out_are_made_up_for() -> None:
    log: list[str] = []
    async with gateway_of(without_repeats, log) as first, gateway_of(right, log) as second:
        for urls in ([first, second], [first]):
            gateway = Gateway("g", urls)
            assert await unpack(b"".join([chunk async for chunk in gateway.dag_export(ROOT)]), ROOT) == FILES
            await gateway.close()
    assert log == ["car", "car"]


async def test_a_silent_url_is_left() -> None:
    log: list[str] = []
    async with gateway_of(right, log, stall_at=MIB) as first, gateway_of(right, log) as second:
        gateway = Gateway("g", [first, second], stall_seconds=10)  # for the second as well
        assert b"".join([chunk async for chunk in gateway.dag_export(ROOT)]) == CAR
        await gateway.close()


@pytest.mark.parametrize("status", [404, 410, 429, 500, 502])
async def test_blocks_come_from_the_first_url_that_has_them(status: int) -> None:
    log: list[str] = []
    async with gateway_of(right, log, status=status) as first, gateway_of(right, log) as second:
        gateway = Gateway("g", [first, second])
        assert await gateway.block_get(ROOT) == BLOCKS[ROOT]
        assert await gateway.has(ROOT)
        assert (await gateway.probe()).usable
        await gateway.close()


async def test_a_wrong_block_of_one_url_is_told_and_replaced() -> None:
    wrong: list[BlockMismatch] = []
    async with gateway_of(flipped, []) as first, gateway_of(right, []) as second:
        gateway = Gateway("g", (first, second), on_wrong=wrong.append)
        assert await gateway.block_get(ROOT) == BLOCKS[ROOT]
        assert [error.source for error in wrong] == ["g"]
        await gateway.close()


async def test_when_none_can_the_error_says_of_each_why() -> None:
    async with AsyncExitStack() as stack:
        gone = await stack.enter_async_context(gateway_of(right, [], status=404))
        down = await stack.enter_async_context(gateway_of(right, [], status=503))
        bad = await stack.enter_async_context(gateway_of(flipped, []))
        both = Gateway("g", [gone, down])
        with pytest.raises(BackendUnavailable, match=r"HTTP 404; .*HTTP 503") as caught:
            await both.block_get(ROOT)
        assert not isinstance(caught.value, ContentMissing)
        missing = Gateway("g", [gone, gone + "/"])
        with pytest.raises(ContentMissing):
            await missing.block_get(ROOT)
        assert not await missing.has(ROOT)
        spoilt = Gateway("g", [bad, bad])
        with pytest.raises(BlockMismatch):
            async for _ in spoilt.dag_export(ROOT):
                pass
        last = Gateway("g", [down])
        assert not (await last.probe()).usable
        for gateway in (both, missing, spoilt, last):
            await gateway.close()


async def test_a_dead_url_is_left_out_after_some_failures() -> None:
    log: list[str] = []
    async with gateway_of(right, log, status=500) as down, gateway_of(right, []) as good:
        gateway = Gateway("g", [down, good])
        for _ in range(15):
            await gateway.block_get(ROOT)
        assert len(log) == 10
        await gateway.close()


async def test_one_url_streams_as_it_is_and_the_reader_checks() -> None:
    async with gateway_of(flipped, []) as url:
        gateway = Gateway("g", url)
        with pytest.raises((BlockMismatch, MalformedCar)) as caught:
            async for _ in unpack_car(gateway.dag_export(ROOT), ROOT, source="g"):
                pass
        assert isinstance(caught.value, BlockMismatch)
        assert (caught.value.source, caught.value.path, caught.value.block) == ("g", "b/c", 1)
        await gateway.close()


async def test_the_token_goes_to_each_url() -> None:
    heard: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization"))
        return web.Response(body=BLOCKS[ROOT])

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway = Gateway("g", "http://{}:{}".format(*runner.addresses[0][:2]), token="secret")
    try:
        await gateway.block_get(ROOT)
        assert heard == ["Bearer secret"]
    finally:
        await gateway.close()
        await runner.cleanup()
