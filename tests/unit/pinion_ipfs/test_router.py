import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Capability, Receipt
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.unixfs import FileHasher
from pinion_ipfs.errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing
from pinion_ipfs.router import Circuit, Router
from pinion_ipfs.store import Store


@pytest.fixture
def refused() -> Iterator[str]:
    """Yield the URL of a port that is taken and refuses connections: nobody listens on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def caches(tmp_path: Path) -> tuple[HfCache, HfCache]:
    return HfCache(Store(tmp_path / "a"), "a"), HfCache(Store(tmp_path / "b"), "b")


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
    with pytest.raises(ContentMissing, match=f"block_get {cid}: a: .*; b: "):
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


async def test_a_callers_mistake_does_not_fall_back(caches: tuple[HfCache, HfCache]) -> None:
    receipts: list[Receipt] = []
    router = Router([*caches], receipts.append)
    with pytest.raises(ContentError, match="more than one block"):
        await router.add_bytes(bytes(2_000_000))
    with pytest.raises(BackendUnavailable, match="a gateway only reads"):
        await Gateway("g", "http://127.0.0.1:9").pin(Cid.of_block(RAW, b""))


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


async def test_a_dead_backend_is_passed_over_after_three_failures(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    cid = await caches[0].block_put(b"data", codec=RAW)
    receipts: list[Receipt] = []
    dead = Gateway("dead", refused)
    router = Router([dead, caches[0]], receipts.append)
    for _ in range(4):
        await router.block_get(cid)
    assert [receipt.attempts[0].kind for receipt in receipts] == ["BackendUnavailable"] * 3 + ["CircuitOpen"]
    assert router.passes_over(dead)
    await router.close()


def test_the_circuit_closes_after_one_good_trial() -> None:
    now = 0.0
    circuit = Circuit(lambda: now)
    for _ in range(3):
        assert not circuit.is_open
        circuit.record(BackendUnavailable("down"))
    assert circuit.is_open
    now = 31.0
    assert not circuit.is_open
    circuit.record(BackendUnavailable("still down"))
    assert circuit.is_open
    now = 62.0
    circuit.record(ContentMissing("it answers"))
    circuit.record(BackendUnavailable("one failure"))
    assert not circuit.is_open


def test_capabilities_choose_who_is_asked(refused: str, caches: tuple[HfCache, HfCache]) -> None:
    gateway, kubo = Gateway("g", refused), KuboRpc("k", refused)
    router = Router([gateway, kubo, caches[0]])
    assert router.able(Capability.EXPORT) == [gateway, caches[0]]
    assert router.able(Capability.WRITE, Capability.PIN) == [kubo, caches[0]]
