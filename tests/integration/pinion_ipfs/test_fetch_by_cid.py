"""Pinning in a real Kubo, and fetching from it by CID."""

import os
import socket
from pathlib import Path

import pytest

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import BackendUnauthorized, CidMismatch, DigestMismatch, PinFailed, StoreCorrupted
from pinion_ipfs.fetching.fetcher import SourceBytes
from tests.support.faulty_gateway import Fault, faulty_gateway
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024


def backends(kubo: Kubo) -> list[KuboRpc | Gateway]:
    return [KuboRpc("kubo", kubo.rpc_url, token=kubo.token), Gateway("kubo", kubo.gateway_url)]


async def pinned(hub: Hub, repo: str, kubo: Kubo, home: Path) -> tuple[Cid, Cid]:
    """Fetch a repository from the hub, pin it, and return its CID and that of its manifest."""
    one = make_fetching(home, backends(kubo))
    snapshot = await one.run(await make_request(hub, repo))
    await one.fetcher.pin(snapshot)
    await one.fetcher.close()
    return snapshot.cid, snapshot.manifest_cid


async def test_all_minilm_goes_to_kubo_and_a_second_store_reads_it_from_there(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    first = make_fetching(tmp_path / "first", backends(kubo))
    snapshot = await first.run(await make_request(hub, hub.minilm))
    receipt = await first.fetcher.pin(snapshot)
    (pin,) = receipt.pins
    assert receipt.pinned_in == ("kubo",)
    assert pin.imported_bytes > 91_618_861
    assert str(snapshot.cid) == kubo.add(snapshot.path, "--only-hash")
    assert {str(snapshot.cid), str(snapshot.manifest_cid)} <= set(kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split())
    record = first.store.pins.get("test/1")
    assert record is not None
    assert (record.cid, record.backends) == (snapshot.cid, ("kubo",))

    served = hub.stats()
    second = make_fetching(tmp_path / "second", backends(kubo))
    request = await make_request(hub, hub.minilm, cid=snapshot.cid, manifest_cid=snapshot.manifest_cid)
    asked = hub.stats()["api_requests"]
    assert asked == served["api_requests"] + 1  # that was make_request
    copy = await second.run(request)
    assert (copy.cid, copy.manifest_cid) == (snapshot.cid, snapshot.manifest_cid)
    assert hub.stats() == served | {"api_requests": asked, "repos": hub.stats()["repos"]}
    assert second.progress[-1].sources == (SourceBytes("Backend", "kubo", 91_618_861),)
    assert [(receipt.operation, receipt.backend, receipt.degraded) for receipt in second.receipts] == [
        ("block_get", "kubo", False),
        ("fetch", "kubo", False),
    ]
    names = sorted(str(path.relative_to(copy.path)) for path in copy.path.rglob("*") if path.is_symlink())
    assert names == sorted(snapshot.files)

    # Who fetched from there finds it pinned, and sends nothing.
    (pin,) = (await second.fetcher.pin(copy)).pins
    assert (pin.pinned, pin.imported_bytes) == (True, 0)
    for fetching in (first, second):
        await fetching.fetcher.close()


async def test_only_missing_files_are_asked_for(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    hub.add_repo("some/missing", {"a.bin": os.urandom(3 * MIB), "b.bin": os.urandom(2 * MIB + 1), "c/d.txt": b"small"})
    cid, manifest_cid = await pinned(hub, "some/missing", kubo, tmp_path / "first")
    second = make_fetching(tmp_path / "second", backends(kubo))
    request = await make_request(hub, "some/missing", cid=cid, manifest_cid=manifest_cid)
    snapshot = await second.run(request)
    second.store.quarantine(snapshot.repo, (await second.fetcher.resolve(request)).files[1])
    second.progress.clear()
    assert (await second.run(request)).cid == cid
    sources = {(source.type, source.bytes) for source in second.progress[-1].sources}
    assert sources == {("Store", 3 * MIB + 5), ("Backend", 2 * MIB + 1)}
    await second.fetcher.close()


async def test_without_the_manifest_the_hub_names_the_files_and_kubo_gives_them(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    hub.add_repo("no/manifest", {"a.bin": os.urandom(MIB + 1), "same.bin": b"same", "also/same.bin": b"same", "empty": b""})
    cid, manifest_cid = await pinned(hub, "no/manifest", kubo, tmp_path / "first")
    gets = hub.repo_stats("no/manifest")["file_gets"]
    second = make_fetching(tmp_path / "second", backends(kubo))
    snapshot = await second.run(await make_request(hub, "no/manifest", expected_cid=cid))
    assert (snapshot.cid, snapshot.manifest_cid) == (cid, manifest_cid)
    assert (snapshot.path / "also/same.bin").read_bytes() == b"same"
    assert hub.repo_stats("no/manifest")["file_gets"] == gets
    await second.fetcher.close()


@pytest.mark.parametrize("kind", ["flip", "cut", "silence"])
async def test_a_faulty_source_is_dropped_and_the_next_one_goes_on(hub: Hub, kubo: Kubo, tmp_path: Path, kind: str) -> None:
    repo = f"faulty/{kind}"
    hub.add_repo(repo, {"a.bin": os.urandom(2 * MIB), "b.bin": os.urandom(3 * MIB)})
    cid, manifest_cid = await pinned(hub, repo, kubo, tmp_path / "first")
    gets = hub.repo_stats(repo)["file_gets"]
    fault = Fault(kind, 4 * MIB)
    async with faulty_gateway(kubo.gateway_url, fault) as url:
        stall_seconds = 10 if kind == "silence" else 60  # so that nothing but the fault ends it
        sources = [Gateway("faulty", url, stall_seconds=stall_seconds), Gateway("good", kubo.gateway_url)]
        second = make_fetching(tmp_path / "second", sources)
        snapshot = await second.run(await make_request(hub, repo, cid=cid, manifest_cid=manifest_cid))
        assert snapshot.cid == cid
        await second.fetcher.close()
    assert fault.requests == 1
    receipt = second.receipts[-1]
    assert (receipt.backend, receipt.preferred, receipt.degraded) == ("good", "faulty", True)
    (attempt,) = receipt.attempts
    assert attempt.kind == {"flip": "BlockMismatch", "cut": "BackendUnavailable", "silence": "BackendUnavailable"}[kind]
    # The file that was whole before the fault came from the faulty source, and was not fetched again.
    assert {(source.name, source.bytes) for source in second.progress[-1].sources} == {
        ("faulty", 2 * MIB),
        ("good", 3 * MIB),
    }
    assert hub.repo_stats(repo)["file_gets"] == gets
    assert not list(second.store.staging.glob(".*.partial"))


async def test_when_no_backend_has_it_the_origin_serves_and_the_receipt_tells(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    hub.add_repo("not/there", {"a.bin": os.urandom(MIB)})
    first = make_fetching(tmp_path / "first")
    snapshot = await first.run(await make_request(hub, "not/there"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = Gateway("dead", f"http://127.0.0.1:{closed.getsockname()[1]}")
        second = make_fetching(tmp_path / "second", [dead, *backends(kubo)])
        request = await make_request(hub, "not/there", cid=snapshot.cid, manifest_cid=snapshot.manifest_cid)
        assert (await second.run(request)).cid == snapshot.cid
        await second.fetcher.close()
    manifest, fetched = second.receipts
    assert (manifest.operation, manifest.succeeded) == ("block_get", False)
    assert (fetched.backend, fetched.preferred, fetched.degraded) == (hub.endpoint, "dead", True)
    assert [(attempt.backend, attempt.kind) for attempt in fetched.attempts] == [
        ("dead", "BackendUnavailable"),
        ("kubo", "ContentMissing"),
    ]
    assert second.progress[-1].sources == (SourceBytes("Origin", hub.endpoint, MIB),)


async def test_a_manifest_of_something_else_is_refused(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    for name in ("one", "two"):
        hub.add_repo(f"manifest/{name}", {"a.txt": name.encode()})
    cid_one, manifest_one = await pinned(hub, "manifest/one", kubo, tmp_path / "one")
    cid_two, manifest_two = await pinned(hub, "manifest/two", kubo, tmp_path / "two")
    third = make_fetching(tmp_path / "third", backends(kubo))
    with pytest.raises(DigestMismatch, match="is of manifest/two@"):
        await third.run(await make_request(hub, "manifest/one", cid=cid_one, manifest_cid=manifest_two))
    with pytest.raises(CidMismatch, match="the root in manifest"):
        await third.run(await make_request(hub, "manifest/one", cid=cid_two, manifest_cid=manifest_one))
    await third.fetcher.close()


async def test_a_pin_that_no_backend_confirms_is_an_error(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    hub.add_repo("pin/fails", {"a.txt": b"a"})
    one = make_fetching(tmp_path / "hf", [KuboRpc("kubo", kubo.rpc_url, token="wrong")])
    snapshot = await one.run(await make_request(hub, "pin/fails"))
    with pytest.raises(PinFailed, match=r"kubo: .*HTTP 403"):
        await one.fetcher.pin(snapshot)
    assert one.store.pins.all() == []
    assert not one.receipts[-1].succeeded
    await one.fetcher.close()


async def test_what_changed_after_verification_is_not_imported(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    hub.add_repo("changed/late", {"a.bin": os.urandom(2 * MIB)})
    one = make_fetching(tmp_path / "hf", backends(kubo))
    snapshot = await one.run(await make_request(hub, "changed/late"))
    with snapshot.files["a.bin"].open("r+b") as stream:
        stream.write(b"changed")
    with pytest.raises(StoreCorrupted, match=r"a\.bin \(block 0\)") as caught:
        await one.fetcher.pin(snapshot)
    assert (caught.value.source, caught.value.path, caught.value.block) == ("store", "a.bin", 0)
    assert "changed after its CID was computed" in one.receipts[-1].error
    assert kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split().count(str(snapshot.cid)) == 0
    await one.fetcher.close()


async def test_a_lost_block_is_noticed_and_put_again(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    hub.add_repo("lost/block", {"a.bin": os.urandom(2 * MIB)})
    one = make_fetching(tmp_path / "hf", backends(kubo))
    snapshot = await one.run(await make_request(hub, "lost/block"))
    await one.fetcher.pin(snapshot)
    record = one.store.record(snapshot.repo, (await one.fetcher.resolve(snapshot.request)).files[0])
    assert record is not None
    leaf = Cid.from_digest(0x55, record.layout.leaves[1])
    kubo.stop()
    (block,) = [path for path in (kubo.path / "blocks").rglob("*.data") if path.stat().st_size == MIB and _holds(path, leaf)]
    block.unlink()
    kubo.start()
    healed = make_fetching(tmp_path / "hf", backends(kubo))
    (pin,) = (await healed.fetcher.pin(snapshot)).pins
    assert pin.pinned
    assert pin.imported_bytes > 2 * MIB
    await one.fetcher.close()
    await healed.fetcher.close()


def _holds(path: Path, cid: Cid) -> bool:
    return Cid.of_block(cid.codec, path.read_bytes()) == cid


async def _backend_operations(rpc: KuboRpc, gateway: Gateway) -> None:
    cid = await rpc.add_bytes(b"hello\n", pin=True)
    assert str(cid) == "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
    assert cid in await rpc.pin_ls()
    assert [chunk async for chunk in rpc.cat(cid)] == [chunk async for chunk in gateway.cat(cid)] == [b"hello\n"]
    assert await rpc.block_get(cid) == await gateway.block_get(cid) == b"hello\n"
    assert await rpc.has(cid)
    assert await gateway.has(cid)
    stat = await rpc.stat(cid)
    assert (stat.blocks, stat.size) == (1, 6)
    await rpc.unpin(cid)
    await rpc.unpin(cid)
    assert cid not in await rpc.pin_ls()
    absent = Cid.of_block(0x55, b"absent")
    assert not await rpc.has(absent)
    assert not await gateway.has(absent)


async def test_operations_of_kubo_and_its_gateway(kubo: Kubo) -> None:
    rpc, gateway = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token), Gateway("kubo", kubo.gateway_url)
    await _backend_operations(rpc, gateway)
    health = await rpc.probe()
    assert health.usable
    assert health.checks == ("version", "add", "cat", "compare")
    pod = KuboRpc("kubo", kubo.rpc_url, token=kubo.token)
    assert (await pod.probe()).checks == ("version", "block/put", "block/get", "compare")
    ours = await rpc.add_bytes(b"ours")
    with pytest.raises(BackendUnauthorized, match="HTTP 403"):
        await pod.unpin(ours)
    nobody = KuboRpc("kubo", kubo.rpc_url)
    refused = await nobody.probe()
    assert not refused.usable
    assert "HTTP 403" in refused.reason
    kubo.stop()
    down = await rpc.probe()
    assert not down.usable
    for backend in (rpc, pod, nobody, gateway):
        await backend.close()
