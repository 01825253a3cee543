"""The listening sockets: both families where there are both, and errors that name the address."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from pinion_runtime.server.app import App
from pinion_runtime.server.http import Request, Response, json_response
from pinion_runtime.server.listener import Listener
from tests.support.observers import Recorder
from tests.support.ports import free_port


def listener(host: str, port: int = 0) -> Listener:
    async def hello(_: Request) -> Response:
        return json_response("hello")

    return Listener(App({"/hello": {"GET": hello}}, Recorder()), host, port)


@contextlib.asynccontextmanager
async def serving(host: str, port: int = 0) -> AsyncIterator[int]:
    """Serve, and yield the port."""
    server = listener(host, port)
    task = asyncio.create_task(server.serve_until_stopped())
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.stop()
        await task


async def ask(host: str, port: int) -> int:
    async with httpx.AsyncClient(timeout=20, verify=False) as client:
        return (await client.get(f"http://{host}:{port}/hello")).status_code


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
async def test_everywhere_means_both_families(host: str) -> None:
    async with serving(host) as port:
        assert await ask("127.0.0.1", port) == 200
        if socket.has_dualstack_ipv6():
            assert await ask("[::1]", port) == 200


async def test_one_address_is_one_address() -> None:
    async with serving("127.0.0.2", free_port()) as port:  # one on which nobody listens at 127.0.0.1 either
        assert await ask("127.0.0.2", port) == 200
        with pytest.raises(httpx.ConnectError):
            await ask("127.0.0.1", port)


def test_a_port_that_is_taken_is_named() -> None:
    with listener("127.0.0.1").socket as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            listener("127.0.0.1", port)
