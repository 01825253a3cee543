"""Probes against a real, managed Kubo."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from pinion_ipfs.backends.kubo_words import PIN_NAME
from pinion_operator.probes.kubo import KuboProbeError, Pins, list_pins, probe_kubo, unpin
from pinion_operator.probes.kubo import pin as repin
from pinion_operator.probes.reach import policy_of

pytestmark = pytest.mark.kubo
LIMIT = 30  # seconds: what is gone or refuses says so at once


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_round_trip(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    token = running_kubo.credentials.operator_token
    check = await probe_kubo("kubo", running_kubo.rpc_url, token, LIMIT)
    assert check.reachable
    assert check.healthy
    assert check.problem == ""
    assert check.version.startswith("0.")
    assert check.peer_id == running_kubo.call("id", token).json()["ID"]
    again = await probe_kubo("kubo", running_kubo.rpc_url, token, LIMIT)
    assert again == check
    assert await list_pins(http, running_kubo.rpc_url, token, LIMIT) == Pins()


async def test_a_daemon_that_is_gone(running_kubo: Any) -> None:
    running_kubo.stop()
    check = await probe_kubo("kubo", running_kubo.rpc_url, running_kubo.credentials.operator_token, LIMIT)
    assert not check.reachable
    assert not check.healthy
    assert check.problem
    again = await probe_kubo("kubo", running_kubo.rpc_url, running_kubo.credentials.operator_token, LIMIT)
    assert again == check, "a problem that reads otherwise each time would be a write each time"


async def test_a_wrong_token(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    check = await probe_kubo("kubo", running_kubo.rpc_url, "wrong", LIMIT)
    assert not check.healthy
    assert "403" in check.problem
    with pytest.raises(KuboProbeError, match="pin/ls: HTTP 403"):
        await list_pins(http, running_kubo.rpc_url, "wrong", LIMIT)


async def test_the_clients_token_may_list_but_not_unpin(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    credentials, url = running_kubo.credentials, running_kubo.rpc_url
    cid = pin(running_kubo, b"model", name=PIN_NAME)
    assert await list_pins(http, url, credentials.client_token, LIMIT) == (frozenset({cid}), frozenset({cid}))
    with pytest.raises(KuboProbeError, match="403"):
        await unpin("kubo", url, credentials.client_token, cid, LIMIT)
    await unpin("kubo", url, credentials.operator_token, cid, LIMIT)
    await unpin("kubo", url, credentials.operator_token, cid, LIMIT)  # gone already: no error
    assert await list_pins(http, url, credentials.operator_token, LIMIT) == Pins()


@pytest.mark.parametrize("options", [{"name": "backup"}, {}], ids=["a name", "no name"])
async def test_pins_under_another_name_or_none_stay(
    running_kubo: Any, http: aiohttp.ClientSession, options: dict[str, str]
) -> None:
    token = running_kubo.credentials.operator_token
    ours, theirs = pin(running_kubo, b"ours", name=PIN_NAME), pin(running_kubo, b"theirs", **options)
    await repin("kubo", running_kubo.rpc_url, token, theirs, LIMIT)
    listed = await list_pins(http, running_kubo.rpc_url, token, LIMIT)
    assert listed == (frozenset({ours, theirs}), frozenset({ours}))
    await unpin("kubo", running_kubo.rpc_url, token, theirs, LIMIT)
    assert await list_pins(http, running_kubo.rpc_url, token, LIMIT) == listed


def pin(kubo: Any, data: bytes, **options: str) -> str:
    cid = kubo.call("block/put", kubo.credentials.client_token, files={"file": data}).json()["Key"]
    kubo.call("pin/add", kubo.credentials.client_token, params={"arg": cid, **options}).raise_for_status()
    return str(cid)


async def test_nothing_is_told_of_what_is_behind_a_url_that_somebody_else_named(running_kubo: Any) -> None:
    told = await probe_kubo("kubo", running_kubo.rpc_url, "wrong", LIMIT, policy_of(("127.0.0.0/8",)), "Secret 's'")
    assert told.problem.endswith("HTTP 403 (Unauthorized: the token in Secret 's' is not accepted)"), told.problem
    assert told.unauthorized
    refused = await probe_kubo("kubo", running_kubo.rpc_url, "wrong", LIMIT, policy_of(("127.0.0.2/32",)))
    assert refused.problem == policy_of(()).no_answer(running_kubo.rpc_url)
    assert not refused.reachable


async def test_the_address_of_a_gateway(running_kubo: Any) -> None:
    told = await probe_kubo("kubo", running_kubo.gateway_url, "", LIMIT, policy_of(("127.0.0.0/8",)))
    assert "HTTP 404 (not Kubo's RPC API: is this the address of a gateway?" in told.problem


async def test_busy_is_not_dead(running_kubo: Any, ipfs_offline: Any, tmp_path: Path) -> None:
    """A CAR that arrives slowly holds Kubo's pin lock all the time; a pin waits for blocks that never come."""
    token, client = running_kubo.credentials.operator_token, running_kubo.credentials.client_token
    (tmp_path / "weights").write_bytes(secrets.token_bytes(3 * 1024 * 1024))
    car = ipfs_offline.ipfs_bytes("dag", "export", ipfs_offline.add(tmp_path / "weights"))
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield car[: len(car) // 2]
        await go_on.wait()
        yield car[len(car) // 2 :]

    async with httpx.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {client}"}) as rpc:
        url = f"{running_kubo.rpc_url}/api/v0"
        form, boundary = multipart(slowly()), {"Content-Type": "multipart/form-data; boundary=pinion"}
        importing = asyncio.create_task(rpc.post(f"{url}/dag/import", content=form, headers=boundary))
        missing = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
        waiting = asyncio.create_task(rpc.post(f"{url}/pin/add", params={"arg": missing}))
        for _ in range(5):
            check = await probe_kubo("kubo", running_kubo.rpc_url, token, 20)
            assert check.healthy, check.problem
            assert not importing.done()
        go_on.set()
        assert (await importing).status_code == 200
        waiting.cancel()


async def multipart(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b'--pinion\r\nContent-Disposition: form-data; name="file"; filename="car"\r\n'
    yield b"Content-Type: application/octet-stream\r\n\r\n"
    async for chunk in body:
        yield chunk
    yield b"\r\n--pinion--\r\n"
