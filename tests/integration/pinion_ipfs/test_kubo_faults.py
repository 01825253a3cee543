"""A real Kubo given what hurts it, or with what it keeps changed behind its back."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import CarSource
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.content.unixfs import TreeLayout
from pinion_ipfs.errors import BlockMismatch, ContentError, ContentMissing, MalformedCar, PinFailed
from tests.support.cars import car_of, in_chunks, leaf, make_car, make_tree, section
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.kubo import PROFILE, IpfsRepo, Kubo

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024


def random_files() -> dict[str, bytes]:
    return {"a.bin": os.urandom(2 * MIB + 9), "b.txt": os.urandom(7)}


def source_of(tree: TreeLayout, car: bytes, size: int | None = None) -> CarSource:
    return CarSource(tree, len(car) if size is None else size, lambda: in_chunks(car))


def open_commands(kubo: Kubo) -> list[str]:
    """Return the daemon's commands that have not ended."""
    lines = kubo.ipfs("diag", "cmds").splitlines()[1:]
    return [line for line in lines if "true" in line.split() and "diag/cmds" not in line]


async def until_idle(kubo: Kubo) -> None:
    limit = time.monotonic() + 60
    while commands := await asyncio.to_thread(open_commands, kubo):
        assert time.monotonic() < limit, commands
        await asyncio.sleep(0.1)


async def works(rpc: KuboRpc) -> None:
    """Add, read and pin something new: the daemon is usable."""
    data = os.urandom(100)
    cid = await rpc.add_bytes(data)
    assert [chunk async for chunk in rpc.cat(cid)] == [data]
    assert cid in await rpc.pin_ls()


@pytest.fixture
async def rpc(kubo: Kubo) -> AsyncIterator[KuboRpc]:
    client = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token, timeout=60)
    yield client
    await client.close()


async def test_a_car_without_its_last_block_pins_nothing_and_leaves_the_daemon_usable(kubo: Kubo, rpc: KuboRpc) -> None:
    files = {"f": os.urandom(2 * MIB + 9)}
    tree = make_tree(files)
    _, car = make_car(files)
    last = section(leaf(files["f"][2 * MIB :]))
    short = car.removesuffix(last)
    assert len(short) < len(car)
    # Cut at the boundary of a block, as a stream that ended early: what was announced did not come.
    with pytest.raises(MalformedCar, match=f"{len(short)} of {len(car)} bytes"):
        await rpc.dag_import(source_of(tree, short, len(car)))
    # The same as a whole stream: the daemon takes it, and only a walk tells.
    await rpc.dag_import(source_of(tree, short))
    with pytest.raises(ContentMissing):
        await rpc.stat(tree.root)
    quick = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token, timeout=5)
    with pytest.raises(PinFailed, match=r"got no further than [0-9]+ blocks for 5 s") as caught:
        await quick.pin(tree.root)
    await quick.close()
    assert str(leaf(files["f"][2 * MIB :])[0]) in str(caught.value)
    assert tree.root not in await rpc.pin_ls()
    await until_idle(kubo)
    await works(rpc)
    await rpc.dag_import(source_of(tree, car))
    await rpc.pin(tree.root)
    assert tree.root in await rpc.pin_ls()


async def test_spoilt_cars_are_failures_and_nothing_counts_as_pinned(kubo: Kubo, rpc: KuboRpc) -> None:
    files = random_files()
    tree = make_tree(files)
    root, car = make_car(files)
    block = leaf(files["b.txt"])
    flipped = car.replace(files["b.txt"], bytes([files["b.txt"][0] ^ 1]) + files["b.txt"][1:])
    assert flipped != car
    spoilt = {
        "cut inside a length": car[: len(car) - len(section(block)) + 1][:-1] + b"\xff",
        "cut inside a block": car[:-3],
        "one bit flipped": flipped,
        "garbage behind": car + b"\x00\xff",
        "no car at all": b"<html>",
        "empty": b"",
    }

    async def bring(body: bytes) -> None:
        await rpc.dag_import(source_of(tree, body))
        await rpc.stat(root)

    for name, body in spoilt.items():
        with pytest.raises(ContentError):
            await bring(body)
        assert root not in await rpc.pin_ls(), name
    # A root that the stream doesn't hold is taken by the daemon without a word.
    absent = make_tree({"x": os.urandom(9)})
    await rpc.dag_import(source_of(absent, car_of(absent.root, leaf(os.urandom(5)))))
    with pytest.raises(ContentMissing):
        await rpc.stat(absent.root)
    await until_idle(kubo)
    await works(rpc)


async def test_a_pin_of_what_nobody_has_fails_at_once(kubo: Kubo, rpc: KuboRpc) -> None:
    async def pin(cid: Cid) -> None:
        with pytest.raises((PinFailed, ContentMissing)) as caught:
            await rpc.pin(cid)
        assert str(cid) in str(caught.value)

    async with asyncio.timeout(60):
        await asyncio.gather(*(pin(Cid.of_block(RAW, os.urandom(30))) for _ in range(10)))
        present = await rpc.add_bytes(b"present", pin=False)
        await rpc.pin(present)
    assert present in await rpc.pin_ls()
    await until_idle(kubo)


@pytest.mark.parametrize("damage", ["flip", "empty", "lose"])
async def test_a_changed_block_is_found_never_served_and_put_again(hub: Hub, kubo: Kubo, tmp_path: Path, damage: str) -> None:
    repo = f"kubo/{damage}"
    hub.add_repo(repo, {"config.json": b"{}", "model.safetensors": os.urandom(3 * MIB)})
    backends = [KuboRpc("kubo", kubo.rpc_url, token=kubo.token), Gateway("kubo", kubo.gateway_url)]
    one = make_fetching(tmp_path / "first", backends)
    snapshot = await one.run(await make_request(hub, repo))
    await one.fetcher.pin(snapshot)
    record = one.store.record(snapshot.repo, (await one.fetcher.resolve(snapshot.request)).files[1])
    assert record is not None
    wrong = Cid.from_digest(RAW, record.layout.leaves[1])
    await one.fetcher.close()

    kubo.stop()
    (block,) = [path for path in (kubo.path / "blocks").rglob("*.data") if path.stat().st_size == MIB and _holds(path, wrong)]
    data = block.read_bytes()
    block.chmod(0o644)
    match damage:
        case "flip":
            block.write_bytes(data[:77] + bytes([data[77] ^ 1]) + data[78:])
        case "empty":
            block.write_bytes(b"")
        case "lose":
            block.unlink()
    kubo.start()

    backends = [KuboRpc("kubo", kubo.rpc_url, token=kubo.token), Gateway("kubo", kubo.gateway_url, stall_seconds=20)]
    with pytest.raises(ContentError):
        await backends[0].block_get(wrong)
    with pytest.raises(ContentError):
        async for _ in backends[1].cat(record.layout.cid):
            pass
    two = make_fetching(tmp_path / "second", backends)
    gets = hub.repo_stats(repo)["file_gets"]
    copy = await two.run(await make_request(hub, repo, cid=snapshot.cid, manifest_cid=snapshot.manifest_cid))
    assert (copy.path / "model.safetensors").read_bytes() == snapshot.files["model.safetensors"].read_bytes()
    assert hub.repo_stats(repo)["file_gets"] == gets + 1  # the file that is whole came from Kubo
    assert [attempt.backend for attempt in two.receipts[-1].attempts] == ["kubo"]
    (pin,) = (await two.fetcher.pin(copy)).pins
    assert pin.pinned
    assert pin.imported_bytes > 3 * MIB
    assert await backends[0].block_get(wrong) == data
    await two.fetcher.close()


def _holds(path: Path, cid: Cid) -> bool:
    return Cid.of_block(cid.codec, path.read_bytes()) == cid


@pytest.mark.parametrize("profile", ["", "legacy-cid-v0", "unixfs-v0-2015", PROFILE])
async def test_the_root_is_the_same_whatever_the_daemons_defaults(
    ipfs_binary: Path, kubo: Kubo, tmp_path: Path, profile: str
) -> None:
    files = {"big.bin": bytes(range(256)) * 8192, ".hidden": b"x", "d/e.txt": b"y"}
    for path, data in files.items():
        (tmp_path / "model" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / path).write_bytes(data)
    tree = layout_directory(tmp_path / "model")
    kubo.stop()
    if profile:
        IpfsRepo(ipfs_binary, kubo.path).ipfs("config", "profile", "apply", profile)
    else:
        IpfsRepo(ipfs_binary, kubo.path).ipfs("config", "--json", "Import", "{}")
    kubo.start()
    rpc = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token)
    _, car = make_car(files)
    await rpc.dag_import(source_of(tree, car))
    await rpc.pin(tree.root)
    assert tree.root in await rpc.pin_ls()
    assert str(await rpc.add_bytes(b"hello\n")) == "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
    health = await rpc.probe()
    assert (health.usable, health.version) == (True, await rpc.version())
    await rpc.close()
    shutil.rmtree(tmp_path / "model")


async def test_a_node_whose_routers_are_down_takes_pins_all_the_same(kubo: Kubo) -> None:
    """Announcing is not our business: success is that the blocks are there."""
    kubo.stop()
    repo = IpfsRepo(kubo.binary, kubo.path)
    repo.ipfs("config", "--json", "Routing", json.dumps({"Type": "dhtclient"}))  # of a network in which there is nobody
    repo.ipfs("config", "--json", "Provide.Enabled", "true")
    kubo.start()
    rpc = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token)
    files = random_files()
    tree, (_, car) = make_tree(files), make_car(files)
    async with asyncio.timeout(60):
        await works(rpc)
        await rpc.dag_import(source_of(tree, car))
        await rpc.pin(tree.root)
        assert (await rpc.stat(tree.root)).size >= sum(map(len, files.values()))
    await rpc.close()


async def test_wrong_bytes_of_a_daemon_are_named(kubo: Kubo, rpc: KuboRpc) -> None:
    """Without hashing on read a daemon serves what is on its disk; we never do."""
    data = os.urandom(1000)
    cid = await rpc.add_bytes(data)
    kubo.stop()
    IpfsRepo(kubo.binary, kubo.path).ipfs("config", "--json", "Datastore.HashOnRead", "false")
    (block,) = [path for path in (kubo.path / "blocks").rglob("*.data") if path.stat().st_size == 1000]
    block.chmod(0o644)
    block.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    kubo.start()
    again, gateway = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token), Gateway("gate", kubo.gateway_url)
    with pytest.raises(BlockMismatch) as caught:
        await again.block_get(cid)
    assert caught.value.source == "kubo"
    with pytest.raises(BlockMismatch) as caught:
        await gateway.block_get(cid)
    assert caught.value.source == "gate"
    await again.close()
    await gateway.close()
