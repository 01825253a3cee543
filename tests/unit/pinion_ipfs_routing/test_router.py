import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Capability, Receipt
from pinion_ipfs.backends.breaker import BreakerSettings, CircuitState
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.unixfs import FileHasher
from pinion_ipfs.errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing
from pinion_ipfs.routing.router import Router


@pytest.fixture
def refused() -> Iterator[str]:
    """Yield the URL of a port that is taken and refuses connections: nobody listens on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def caches(tmp_path: Path) -> tuple[HfCache, HfCache]:
    return HfCache("a", tmp_path / "a"), HfCache("b", tmp_path / "b")


async def test_a_read_falls_back_and_the_receipt_says_why(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    a, b = caches
    cid = await b.block_put(b"data", codec=RAW)
    receipts: list[Receipt] = []
    router = Router([Gateway("dead", refused), a, b], receipts.append)
    assert await router.block_get(cid) == b"data"
    (receipt,) = receipts
    assert (receipt.operation, receipt.backend, receipt.preferred, receipt.bytes) == ("block_get", "b", "dead", 4)
    assert receipt.degraded
    assert receipt.succeeded
    assert [(attempt.backend, attempt.kind) for attempt in receipt.attempts] == [
        ("dead", "BackendUnavailable"),
        ("a", "ContentMissing"),
    ]
    await router.close()


async def test_a_write_falls_back_too(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    receipts: list[Receipt] = []
    router = Router([KuboRpc("dead", refused), caches[0]], receipts.append)
    cid = await router.add_bytes(b"hello\n")
    assert str(cid) == "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
    assert receipts[0].backend == "a"
    assert await caches[0].pin_ls() == {cid}
    assert [chunk async for chunk in router.cat(cid)] == [b"hello\n"]
    await caches[0].unpin(cid)
    assert await caches[0].pin_ls() == set()
    await router.close()


async def test_all_down_is_unavailable_and_all_without_it_is_missing(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    cid = Cid.of_block(RAW, b"nobody has this")
    receipts: list[Receipt] = []
    router = Router([*caches], receipts.append)
    with pytest.raises(ContentMissing, match=f"block_get {cid}: a: {cid} is not in the store; b: {cid} is not in the store$"):
        await router.block_get(cid)
    assert not receipts[0].succeeded
    assert receipts[0].error
    router = Router([caches[0], Gateway("dead", refused)])
    with pytest.raises(BackendUnavailable) as caught:
        await router.block_get(cid)
    assert not isinstance(caught.value, ContentMissing)
    await router.close()
    with pytest.raises(BackendUnavailable, match="no backend can do this"):
        await Router([]).block_get(cid)


async def test_a_wrong_block_is_never_given_out(tmp_path: Path, caches: tuple[HfCache, HfCache]) -> None:
    a, b = caches
    for cache in caches:
        cid = await cache.block_put(b"the right bytes", codec=RAW)
    (tmp_path / "a/pinion/blocks" / str(cid)).write_bytes(b"the wrong bytes")
    with pytest.raises(BlockMismatch):
        await a.block_get(cid)
    receipts: list[Receipt] = []
    assert await Router([a, b], receipts.append).block_get(cid) == b"the right bytes"
    assert receipts[0].attempts[0].kind == "BlockMismatch"


async def test_wrong_bytes_wherever_there_are_any_are_a_mismatch(
    refused: str, tmp_path: Path, caches: tuple[HfCache, HfCache]
) -> None:
    for cache in caches:
        cid = await cache.block_put(b"the right bytes", codec=RAW)
        (tmp_path / cache.name / "pinion/blocks" / str(cid)).write_bytes(b"the wrong bytes")
    with pytest.raises(BlockMismatch, match=f"^block_get {cid}: expected {cid}, got .* [(]from a, b[)]$"):
        await Router([*caches]).block_get(cid)
    (tmp_path / "b/pinion/blocks" / str(cid)).unlink()
    with pytest.raises(BlockMismatch, match=f"^block_get {cid}; b: {cid} is not in the store: expected .* [(]from a[)]$"):
        await Router([*caches]).block_get(cid)
    router = Router([*caches, Gateway("dead", refused)])  # who does not answer may have the right ones
    with pytest.raises(BackendUnavailable) as caught:
        await router.block_get(cid)
    assert not isinstance(caught.value, BlockMismatch)
    await router.close()


async def test_a_callers_mistake_does_not_fall_back(caches: tuple[HfCache, HfCache]) -> None:
    receipts: list[Receipt] = []
    router = Router([*caches], receipts.append)
    with pytest.raises(ContentError, match="more than one block"):
        await router.add_bytes(bytes(2_000_000))
    with pytest.raises(BackendUnavailable, match="a gateway only reads"):
        await Gateway("g", "http://127.0.0.1:9").pin(Cid.of_block(RAW, b""))


async def test_unpin_asks_all_before_it_complains(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    receipts: list[Receipt] = []
    router = Router([KuboRpc("dead", refused), *caches], receipts.append)
    for cache in caches:
        cid = await cache.add_bytes(b"data")
    with pytest.raises(BackendUnavailable, match="dead"):
        await router.unpin(cid)
    assert [await cache.pin_ls() for cache in caches] == [frozenset(), frozenset()]
    assert [(receipt.preferred, receipt.succeeded) for receipt in receipts] == [("dead", False), ("a", True), ("b", True)]
    await router.close()


async def test_a_stream_goes_on_where_a_backend_failed(tmp_path: Path, caches: tuple[HfCache, HfCache]) -> None:
    a, b = caches
    hasher = FileHasher()
    parts = [bytes([number]) * 1024 * 1024 for number in range(3)]
    for part in parts:
        hasher.update(part)
    layout = hasher.finish()
    for cache in caches:
        for _, node in layout.nodes:
            await cache.block_put(node, codec=DAG_PB)
        for part in parts:
            await cache.block_put(part, codec=RAW)
    (tmp_path / "a/pinion/blocks" / str(Cid.of_block(RAW, parts[1]))).unlink()
    receipts: list[Receipt] = []
    chunks = [chunk async for chunk in Router([a, b], receipts.append).cat(layout.cid)]
    assert chunks == parts
    assert (receipts[0].backend, receipts[0].degraded, receipts[0].bytes) == ("b", True, 3 * 1024 * 1024)
    assert [attempt.kind for attempt in receipts[0].attempts] == ["ContentMissing"]


async def test_a_pin_of_what_is_not_whole_is_an_error(caches: tuple[HfCache, HfCache]) -> None:
    hasher = FileHasher()
    hasher.update(bytes(2 * 1024 * 1024))
    ((_, node),) = hasher.finish().nodes
    a = caches[0]
    cid = await a.block_put(node, codec=DAG_PB)
    with pytest.raises(ContentMissing):
        await a.pin(cid)
    assert not await a.pin_ls()
    assert await a.has(cid)


async def test_probes_tell_what_they_did(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    router = Router([caches[0], KuboRpc("dead", refused), Gateway("gone", refused)])
    good, dead, gone = await router.probe()
    assert good.usable
    assert good.checks == ("add", "cat", "compare")
    assert not dead.usable
    assert "ClientConnectorError" in dead.reason
    assert not gone.usable
    await router.close()


async def test_a_dead_backend_is_passed_over_and_tried_once_when_its_time_has_come(
    refused: str, caches: tuple[HfCache, HfCache]
) -> None:
    now = 0.0
    cid = await caches[0].block_put(b"data", codec=RAW)
    receipts: list[Receipt] = []
    dead = Gateway("dead", refused)
    breakers = {"dead": BreakerSettings(error_threshold_percent=100, min_requests=3, open_seconds=30)}
    router = Router([dead, caches[0]], receipts.append, breakers=breakers, clock=lambda: now)
    for _ in range(4):
        await router.block_get(cid)
    assert [receipt.attempts[0].kind for receipt in receipts] == ["BackendUnavailable"] * 3 + ["CircuitOpen"]
    assert router.circuits()[dead.name] is CircuitState.OPEN
    assert router.passes_over(dead)
    now = 31.0
    assert router.circuits()[dead.name] is CircuitState.HALF_OPEN
    assert [chunk async for chunk in router.cat(cid)] == [b"data"]  # the trial, which fails
    assert receipts[-1].attempts[0].kind == "BackendUnavailable"
    assert [chunk async for chunk in router.cat(cid)] == [b"data"]
    assert receipts[-1].attempts[0].kind == "CircuitOpen"
    await router.close()


async def test_a_callers_mistake_and_a_cancelled_call_leave_the_circuit_alone(caches: tuple[HfCache, HfCache]) -> None:
    one = caches[0]
    router = Router([one], breakers={"a": BreakerSettings(100, 1, 30.0)})
    for _ in range(3):
        with pytest.raises(ContentError, match="more than one block"):
            await router.add_bytes(bytes(2_000_000))
    assert router.circuits()[one.name] is CircuitState.CLOSED


def test_capabilities_choose_who_is_asked(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    gateway, kubo = Gateway("g", refused), KuboRpc("k", refused)
    router = Router([gateway, kubo, caches[0]])
    assert router.able(Capability.EXPORT) == [gateway, caches[0]]
    assert router.able(Capability.WRITE, Capability.PIN) == [kubo, caches[0]]
