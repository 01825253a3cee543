"""What calls itself Kubo and answers otherwise: each operation ends with an error of ours, in time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from pinion_ipfs.backends.base import CarSource
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import BackendBusy, BackendUnauthorized, BackendUnavailable, ContentError, ContentMissing, PinFailed
from tests.support.cars import in_chunks, make_car, make_tree

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CID = Cid.of_block(RAW, b"x")
CALLS: dict[str, Callable[[KuboRpc], Awaitable[Any]]] = {
    "version": lambda rpc: rpc.version(),
    "add": lambda rpc: rpc.add_bytes(b"x"),
    "block_put": lambda rpc: rpc.block_put(b"x", codec=RAW),
    "block_get": lambda rpc: rpc.block_get(CID),
    "stat": lambda rpc: rpc.stat(CID),
    "pin": lambda rpc: rpc.pin(CID),
    "pin_ls": lambda rpc: rpc.pin_ls(),
}
ANSWERS: list[Any] = [
    None, True, 7, "text", [], [{}], {}, {"Version": {}}, {"Hash": "../../x"}, {"Key": 7}, {"Hash": str(CID) + "x"},
    {"DagStats": []}, {"DagStats": [7]}, {"DagStats": [{"Cid": {"x": 1}, "NumBlocks": "many", "Size": []}]},
    {"Pins": 7}, {"Pins": [7]}, {"Pins": {}}, {"Progress": "x"}, {"Cid": "b"}, {"Cid": None},
]  # fmt: skip
RAW_ANSWERS = [b"<html>", b"\xff\n", b"{", b"[" * 60_000, b"x" * 200_000, b'{"Version": ' + b"9" * 5000 + b"}"]


@asynccontextmanager
async def kubo_of(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]], timeout: float = 10, token: str = "", token_source: str = ""
) -> AsyncIterator[KuboRpc]:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rpc = KuboRpc(
        "kubo", "http://{}:{}".format(*runner.addresses[0][:2]), timeout=timeout, token=token, token_source=token_source
    )
    try:
        yield rpc
    finally:
        await rpc.close()
        await runner.cleanup()


@pytest.mark.parametrize("call", CALLS)
async def test_answers_that_are_not_kubos(call: str) -> None:
    body = b""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body)

    async with kubo_of(handle) as rpc:
        for body in [*(json.dumps(answer).encode() for answer in ANSWERS), *RAW_ANSWERS]:
            try:
                result = await CALLS[call](rpc)
            except ContentError:
                continue
            # Right by chance, as a version may be any text.
            assert call == "version" or result in (frozenset(), None), (body[:80], result)
        assert not (await rpc.probe()).usable


def not_pinned(request: web.Request) -> web.Response:
    """Return what Kubo says of a CID that nobody has pinned."""
    return web.json_response({"Message": f"path '{request.query['arg']}' is not pinned"}, status=500)


async def test_an_error_that_comes_late_is_no_pin() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("pin/ls"):
            return not_pinned(request)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"Progress": 3}\n')
        assert request.transport is not None
        request.transport.close()
        return response

    async with kubo_of(handle) as rpc:
        with pytest.raises((PinFailed, BackendUnavailable)):
            await rpc.pin(CID)


async def test_a_pin_that_goes_on_is_waited_for_and_one_that_stands_still_is_not() -> None:
    going, steps, pause = True, 10, 0.5

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("pin/ls"):
            return not_pinned(request)
        if not request.path.endswith("pin/add"):
            return web.Response(
                status=500, text='{"Message": "ipld: could not find it: not found"}', content_type="application/json"
            )
        response = web.StreamResponse()
        await response.prepare(request)
        for blocks in range(steps):
            await response.write(json.dumps({"Progress": blocks if going else 1}).encode() + b"\n")
            await asyncio.sleep(pause)
        await response.write(json.dumps({"Pins": [str(CID)]}).encode() + b"\n")
        return response

    async def check(slower: float) -> None:
        nonlocal going, pause
        going, pause = True, 0.5 * slower
        async with kubo_of(handle, timeout=4 * slower) as rpc:  # less than all steps take, far more than one
            await rpc.pin(CID)
        going, patience = False, 1.5 * slower
        async with kubo_of(handle, timeout=patience) as rpc:
            with pytest.raises(PinFailed, match=rf"got no further than 1 blocks for {re.escape(f'{patience:g}')} s.*not found"):
                await rpc.pin(CID)

    with suppress(ContentError, AssertionError):  # a step of half a second may come too late
        await check(1)
        return
    await check(5)


async def test_a_timeout_beside_our_own_import_means_busy() -> None:
    importing, go_on = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("dag/import"):
            importing.set()
            await go_on.wait()
            await request.read()
            return web.Response(body=b"{}")
        await asyncio.Event().wait()
        raise AssertionError

    files = {"a": b"b"}
    tree, (_, car) = make_tree(files), make_car(files)
    async with kubo_of(handle, timeout=0.5) as rpc:
        with pytest.raises(BackendUnavailable) as dead:
            await rpc.version()
        assert not isinstance(dead.value, BackendBusy)
        task = asyncio.create_task(rpc.dag_import(CarSource(tree, len(car), lambda: in_chunks(car))))
        await importing.wait()
        with pytest.raises(BackendBusy, match="while 1 import"):
            await rpc.version()
        go_on.set()
        assert await task == len(car)


@pytest.mark.parametrize("status", [404, 405, 410, 501])
@pytest.mark.parametrize("call", CALLS)
async def test_a_server_without_such_an_api_is_told_from_content_that_is_missing(call: str, status: int) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text="404 page not found", headers={"Location": "/"})

    async with kubo_of(handle) as rpc:
        with pytest.raises(BackendUnavailable, match=rf"HTTP {status} \(not Kubo's RPC API.*") as caught:
            await CALLS[call](rpc)
        assert not isinstance(caught.value, ContentMissing)
        with pytest.raises(BackendUnavailable, match="not Kubo's RPC API"):
            await rpc.has(CID)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("token", "source", "words"),
    [
        ("", "", "no token was sent"),
        ("", "KUBO_API_TOKEN", "no token was sent, for there is none in KUBO_API_TOKEN"),
        ("secret", "", "the token that was sent is not accepted"),
        ("secret", "KUBO_API_TOKEN", "the token in KUBO_API_TOKEN is not accepted"),
    ],
)
async def test_a_refused_token_is_told_with_where_it_comes_from(status: int, token: str, source: str, words: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text=f"no: {token}")

    async with kubo_of(handle, token=token, token_source=source) as rpc:
        with pytest.raises(BackendUnauthorized) as caught:
            await rpc.version()
        assert f"HTTP {status} (Unauthorized: {words})" in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "token", ["to\nken", "x\r\nX-Evil: 1", "t\xf8ken", "x" * 9000], ids=["newline", "header", "letter", "long"]
)
async def test_a_token_that_no_header_holds_is_not_sent(token: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        raise AssertionError

    async with kubo_of(handle, token=token, token_source="a file") as rpc:
        with pytest.raises(BackendUnauthorized, match="the token in a file: it h"):
            await rpc.version()
