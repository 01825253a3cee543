"""Probes against a real, managed Kubo."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from pinion_operator.probes.kubo import KuboProbeError, list_pins, probe_kubo, unpin

pytestmark = pytest.mark.kubo


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_round_trip(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    token = running_kubo.credentials.operator_token
    check = await probe_kubo(http, "kubo", running_kubo.rpc_url, token, 5)
    assert check.reachable
    assert check.healthy
    assert check.problem == ""
    assert check.version.startswith("0.")
    assert check.peer_id == running_kubo.call("id", token).json()["ID"]
    again = await probe_kubo(http, "kubo", running_kubo.rpc_url, token, 5)
    assert again == check
    assert await list_pins(http, running_kubo.rpc_url, token, 5) == frozenset()


async def test_a_daemon_that_is_gone(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    running_kubo.stop()
    check = await probe_kubo(http, "kubo", running_kubo.rpc_url, running_kubo.credentials.operator_token, 5)
    assert not check.reachable
    assert not check.healthy
    assert check.problem
    again = await probe_kubo(http, "kubo", running_kubo.rpc_url, running_kubo.credentials.operator_token, 5)
    assert again == check, "a problem that reads otherwise each time would be a write each time"


async def test_a_wrong_token(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    check = await probe_kubo(http, "kubo", running_kubo.rpc_url, "wrong", 5)
    assert not check.healthy
    assert "403" in check.problem
    with pytest.raises(KuboProbeError, match="pin/ls: HTTP 403"):
        await list_pins(http, running_kubo.rpc_url, "wrong", 5)


async def test_the_clients_token_may_list_but_not_unpin(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    credentials, url = running_kubo.credentials, running_kubo.rpc_url
    cid = pin(running_kubo, b"model")
    assert await list_pins(http, url, credentials.client_token, 5) == {cid}
    with pytest.raises(KuboProbeError, match="403"):
        await unpin("kubo", url, credentials.client_token, cid, 5)
    await unpin("kubo", url, credentials.operator_token, cid, 5)
    await unpin("kubo", url, credentials.operator_token, cid, 5)  # gone already: no error
    assert await list_pins(http, url, credentials.operator_token, 5) == frozenset()


async def test_pins_with_a_name_are_somebody_elses(running_kubo: Any, http: aiohttp.ClientSession) -> None:
    ours, theirs = pin(running_kubo, b"ours"), pin(running_kubo, b"theirs", name="backup")
    listed = await list_pins(http, running_kubo.rpc_url, running_kubo.credentials.operator_token, 5)
    assert ours in listed
    assert theirs not in listed


def pin(kubo: Any, data: bytes, **options: str) -> str:
    cid = kubo.call("block/put", kubo.credentials.client_token, files={"file": data}).json()["Key"]
    kubo.call("pin/add", kubo.credentials.client_token, params={"arg": cid, **options}).raise_for_status()
    return str(cid)
