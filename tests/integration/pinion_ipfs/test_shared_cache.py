"""A Hugging Face cache on a folder that several pods, processes and users share, as a backend."""

import asyncio
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

from pinion_ipfs.backends.base import Capability, CarSource
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.errors import (
    BackendUnavailable,
    BlockMismatch,
    ContentMissing,
    DigestMismatch,
    PinFailed,
    SourceNotFound,
    StoreInaccessible,
)
from pinion_ipfs.fetching.fetcher import Snapshot, SourceBytes
from pinion_ipfs.hub.identity import RepoId
from pinion_ipfs.store import Store
from tests.support.cars import in_chunks
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.volumes import as_user, read_only, small_volume

MIB = 1024 * 1024
FILES = {"config.json": b"{}", "a/vocab.txt": b"hello", "model.safetensors": None}


def add_repo(hub: Hub, repo: str) -> None:
    hub.add_repo(repo, {path: data or os.urandom(3 * MIB + 17) for path, data in FILES.items()})


async def pin_into(hub: Hub, repo: str, home: Path, shared: Path) -> Snapshot:
    """Fetch from the hub and pin in the shared cache, as the first pod does."""
    one = make_fetching(home, [HfCache("shared", shared)])
    snapshot = await one.run(await make_request(hub, repo))
    receipt = await one.fetcher.pin(snapshot)
    assert receipt.pinned_in == ("shared",)
    await one.fetcher.close()
    return snapshot


def flip(path: Path, at: int) -> None:
    path = path.resolve()
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what a write would change."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size, path.lstat().st_mode) for path in folder.rglob("*")}


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_what_one_pod_pins_another_reads_and_the_hubs_own_tools_know_it(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/pods")
    shared = tmp_path / "shared"
    first = await pin_into(hub, "shared/pods", tmp_path / "first", shared)
    gets = hub.repo_stats("shared/pods")["file_gets"]

    second = make_fetching(tmp_path / "second", [HfCache("shared", shared)])
    request = await make_request(hub, "shared/pods", cid=first.cid, manifest_cid=first.manifest_cid)
    copy = await second.run(request)
    assert copy.cid == first.cid
    assert second.progress[-1].sources == (SourceBytes("Backend", "shared", first.size_bytes),)
    assert [(receipt.operation, receipt.backend) for receipt in second.receipts] == [
        ("block_get", "shared"),
        ("fetch", "shared"),
    ]
    assert hub.repo_stats("shared/pods")["file_gets"] == gets
    (pin,) = (await second.fetcher.pin(copy)).pins
    assert (pin.pinned, pin.imported_bytes) == (True, 0)

    (repo,) = scan_cache_dir(shared / "hub").repos
    (revision,) = repo.revisions
    assert (repo.repo_id, revision.commit_hash, revision.refs) == (
        "shared/pods",
        str(first.commit),
        {f"pinion/{first.cid}"},  # without a ref the hub's `cache prune` would take it
    )
    assert scan_cache_dir(shared / "hub").warnings == []
    found = snapshot_download("shared/pods", revision=str(first.commit), cache_dir=shared / "hub", local_files_only=True)
    assert files_below(Path(found)) == set(FILES)

    cache = HfCache("shared", shared)
    assert await cache.pin_ls() == {first.cid, first.manifest_cid}
    await cache.unpin(first.cid)
    assert await cache.pin_ls() == {first.manifest_cid}
    assert not (shared / "hub/models--shared--pods/refs/pinion" / str(first.cid)).exists()


async def test_several_processes_pin_the_same_model_at_once(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/many")
    shared = tmp_path / "shared"
    homes = [tmp_path / f"pod-{number}" for number in range(3)]
    snapshots = []
    for home in homes:
        snapshots.append(await make_fetching(home).run(await make_request(hub, "shared/many")))
    script = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from pinion_ipfs.backends.hf_cache import HfCache
from tests.support.cars import in_chunks
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
async def main():
    one = make_fetching(Path(sys.argv[1]), [HfCache("shared", Path(sys.argv[2]))])
    hub = Hub(sys.argv[3], Path("/"), None)
    snapshot = await one.run(await make_request(hub, "shared/many"))
    assert (await one.fetcher.pin(snapshot)).pinned_in == ("shared",)
    print(snapshot.cid)
asyncio.run(main())
"""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, home, shared, hub.endpoint, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for home in homes
    ]
    for process in processes:
        out, err = await asyncio.wait_for(process.communicate(), 120)
        assert out.decode().strip() == str(snapshots[0].cid), err.decode()
    cache = HfCache("shared", shared)
    stat_of = await cache.stat(snapshots[0].cid)
    assert stat_of.size > 3 * MIB
    assert not list(shared.rglob("*partial*"))
    assert len(list((shared / "hub/models--shared--many/blobs").iterdir())) == 3


async def test_a_read_only_cache_is_read_and_not_written(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/frozen")
    shared = tmp_path / "shared"
    first = await pin_into(hub, "shared/frozen", tmp_path / "first", shared)
    before = everything(shared)
    with read_only(shared):
        cache = HfCache("shared", shared)
        assert cache.capabilities == {Capability.READ, Capability.EXPORT}
        health = await cache.probe()
        assert (health.usable, health.checks) == (True, ("list",))
        second = make_fetching(tmp_path / "second", [cache])
        request = await make_request(hub, "shared/frozen", cid=first.cid, manifest_cid=first.manifest_cid)
        copy = await second.run(request)
        assert second.receipts[-1].backend == "shared"
        assert (await second.fetcher.pin(copy)).pins == ()  # nobody is asked who can't
        with pytest.raises(BackendUnavailable, match="can't write"):
            await cache.block_put(b"x", codec=RAW)
        with pytest.raises(BackendUnavailable, match="can't write"):
            await cache.unpin(first.cid)
    assert everything(shared) == before


@pytest.mark.parametrize("uid", [0, 65532])
async def test_a_whole_store_on_a_read_only_volume_serves_and_is_verified(hub: Hub, shared_folder: Path, uid: int) -> None:
    repo, home = f"shared/volume-of-{uid}", shared_folder / "hf"
    add_repo(hub, repo)
    # Filled by the hub's own library, as root: no sidecars, no manifest, no locks of ours.
    folder = snapshot_download(repo, endpoint=hub.endpoint, cache_dir=home / "hub", token=False)
    for lock in (home / "hub").glob(".locks/**/*.lock"):
        lock.unlink()
    before = everything(home)
    request = await make_request(hub, repo)
    gets = hub.repo_stats(repo)["file_gets"]
    with read_only(home), as_user(uid):
        one = make_fetching(home)
        snapshot = await one.run(request)
        assert snapshot.path == Path(folder)
        assert (await one.fetcher.pin(snapshot)).pins == ()
    assert everything(home) == before
    assert hub.repo_stats(repo)["file_gets"] == gets

    flip(snapshot.path / "model.safetensors", 2 * MIB + 5)
    with read_only(home), as_user(uid):
        one = make_fetching(home)
        with pytest.raises(DigestMismatch, match=r"model\.safetensors from the local cache"):
            await one.run(request)


@pytest.mark.parametrize("uid", [0, 65532])
async def test_what_a_read_only_volume_lacks_is_named_before_a_byte_is_fetched(hub: Hub, shared_folder: Path, uid: int) -> None:
    repo, home = f"shared/not-there-{uid}", shared_folder / "hf"
    add_repo(hub, repo)
    home.mkdir()
    request = await make_request(hub, repo)
    with (
        read_only(home),
        as_user(uid),
        pytest.raises(StoreInaccessible, match=rf"can't be written by user {uid}, and lacks .*config.json"),
    ):
        await make_fetching(home).run(request)
    assert hub.repo_stats(repo)["file_gets"] == 0


async def test_users_share_a_cache_whoever_comes_first(hub: Hub, tmp_path: Path, shared_folder: Path) -> None:
    add_repo(hub, "shared/users")
    one = make_fetching(tmp_path / "first")
    snapshot = await one.run(await make_request(hub, "shared/users"))
    request = await make_request(hub, "shared/users", cid=snapshot.cid, manifest_cid=snapshot.manifest_cid)
    for first, second in ((65532, 1000), (1000, 65532)):
        # As a volume with an fsGroup comes: the group may write, and what is made inside belongs to it.
        volume = shared_folder / f"of-{first}"
        volume.mkdir()
        os.chown(volume, 0, 4711)
        volume.chmod(0o2775)
        for uid in (first, second):
            home = shared_folder / f"home-{first}-{uid}"
            if uid == first:
                await make_fetching(home).run(request)  # the download itself needs this machine's Python, which is root's
            home.mkdir(exist_ok=True)
            for path in (home, *home.rglob("*")):
                os.lchown(path, uid, uid)
            with as_user(uid, groups=(4711,)):
                pod = make_fetching(home, [HfCache("shared", volume)])
                copy = await pod.run(request)
                source = "shared" if uid == second else "store"
                assert {used.name for used in pod.progress[-1].sources} == {source}
                assert (await pod.fetcher.pin(copy)).pinned_in == ("shared",)
                assert (await HfCache("shared", volume).probe()).checks == ("add", "cat", "compare")
        for path in volume.rglob("*"):
            if path.is_dir():
                assert stat.S_IMODE(path.stat().st_mode) == 0o2775, path


async def test_what_a_user_may_not_read_is_named_and_nothing_waits(hub: Hub, tmp_path: Path, shared_folder: Path) -> None:
    add_repo(hub, "shared/closed")
    shared = shared_folder / "cache"
    first = await pin_into(hub, "shared/closed", tmp_path / "first", shared)
    blob = (shared / "hub/models--shared--closed/snapshots" / str(first.commit) / "model.safetensors").resolve()
    blob.chmod(0o600)
    (shared / "pinion/staging.lock").chmod(0o600)
    with as_user(1000):
        cache = HfCache("shared", shared)
        assert await cache.has(first.cid)
        with pytest.raises(BackendUnavailable, match=rf"Permission denied: .*{blob.name}"):
            async for _ in cache.dag_export(first.cid):
                pass
        store = Store(shared)
        (_, manifest) = next(store.manifests())
        weights = next(file.hub for file in manifest.files if file.hub.path == "model.safetensors")
        with pytest.raises(StoreInaccessible, match="can't be read by user 1000"):
            store.verify_blobs(RepoId.parse("shared/closed"), [weights])
        with store.staging_session():  # its lock is another user's
            pass


@pytest.mark.parametrize(("at", "block"), [(5, 0), (3 * MIB + 3, 3)])
async def test_a_flipped_byte_is_named_fetched_elsewhere_and_repaired(hub: Hub, tmp_path: Path, at: int, block: int) -> None:
    repo = f"shared/flip-{block}"
    add_repo(hub, repo)
    shared = tmp_path / "shared"
    first = await pin_into(hub, repo, tmp_path / "first", shared)
    spoilt = shared / f"hub/models--shared--flip-{block}/snapshots" / str(first.commit) / "model.safetensors"
    good = spoilt.read_bytes()
    flip(spoilt, at)

    request = await make_request(hub, repo, cid=first.cid, manifest_cid=first.manifest_cid)
    cache = HfCache("shared", shared)
    second = make_fetching(tmp_path / "second", [cache])
    copy = await second.run(request)
    assert (copy.path / "model.safetensors").read_bytes() == good
    fetched = second.receipts[-1]
    assert (fetched.backend, fetched.degraded) == (hub.endpoint, True)
    assert [(attempt.backend, attempt.kind) for attempt in fetched.attempts] == [("shared", "BlockMismatch")]
    assert f"model.safetensors, block {block}, from shared" in fetched.attempts[0].error

    leaf = next(cid for cid, data in _leaves(good) if data == good[block * MIB : (block + 1) * MIB])
    with pytest.raises(BlockMismatch) as caught:
        await cache.block_get(leaf)
    assert (caught.value.source, caught.value.path, caught.value.block) == ("shared", "model.safetensors", block)

    # Who has a good copy repairs it with the next pin.
    (pin,) = (await second.fetcher.pin(copy)).pins
    assert pin.pinned
    assert pin.imported_bytes == len(good)
    assert spoilt.read_bytes() == good
    assert await cache.block_get(leaf) == good[block * MIB : (block + 1) * MIB]


def _leaves(data: bytes) -> list[tuple[Cid, bytes]]:
    return [(Cid.of_block(RAW, data[start : start + MIB]), data[start : start + MIB]) for start in range(0, len(data), MIB)]


async def test_a_lost_blob_is_missing_not_an_error_and_comes_back(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/lost")
    shared = tmp_path / "shared"
    first = await pin_into(hub, "shared/lost", tmp_path / "first", shared)
    cache = HfCache("shared", shared)
    blob = (shared / "hub/models--shared--lost/snapshots" / str(first.commit) / "model.safetensors").resolve()
    blob.unlink()
    with pytest.raises(ContentMissing):
        await cache.stat(first.cid)
    with pytest.raises(ContentMissing):
        await cache.pin(first.cid)
    one = make_fetching(tmp_path / "first", [cache])
    assert (await one.fetcher.pin(first)).pins[0].imported_bytes == blob.stat().st_size


async def test_a_commit_that_its_hub_has_lost_is_served_from_a_pin(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/rewritten")
    shared = tmp_path / "shared"
    first = await pin_into(hub, "shared/rewritten", tmp_path / "first", shared)
    hub.configure("shared/rewritten", commit="f" * 40)  # the branch was pushed over: the old commit is gone
    asked = hub.repo_stats("shared/rewritten")["api_requests"]
    known = replace(first.request, cid=first.cid, manifest_cid=first.manifest_cid)
    copy = await make_fetching(tmp_path / "second", [HfCache("shared", shared)]).run(known)
    assert copy.cid == first.cid
    assert hub.repo_stats("shared/rewritten")["api_requests"] == asked
    with pytest.raises(SourceNotFound, match=f"shared/rewritten@{first.commit} at .*: no such revision"):
        await make_fetching(tmp_path / "third").run(known)


async def test_a_full_cache_takes_no_pin_and_says_how_much_is_missing(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/full")
    with small_volume(tmp_path / "shared", "2m") as shared:
        one = make_fetching(tmp_path / "first", [HfCache("shared", shared)])
        snapshot = await one.run(await make_request(hub, "shared/full"))
        with pytest.raises(PinFailed, match=r"needs \d+ bytes, \d+ are available"):
            await one.fetcher.pin(snapshot)
        assert not list((shared / "hub").glob("*/blobs/*"))
        assert await HfCache("shared", shared).pin_ls() == frozenset()


async def test_a_dag_without_a_manifest_is_kept_block_by_block(hub: Hub, tmp_path: Path) -> None:
    add_repo(hub, "shared/blocks")
    one = make_fetching(tmp_path / "first")
    snapshot = await one.run(await make_request(hub, "shared/blocks"))
    source, target = HfCache("source", tmp_path / "first"), HfCache("target", tmp_path / "target")
    car = b"".join([chunk async for chunk in source.dag_export(snapshot.cid)])
    tree = layout_directory(snapshot.path)
    assert await target.dag_import(CarSource(tree, len(car), lambda: in_chunks(car))) > 3 * MIB
    await target.pin(snapshot.cid)
    assert await target.stat(snapshot.cid) == await source.stat(snapshot.cid)
    assert b"".join([chunk async for chunk in target.dag_export(snapshot.cid)]) == car
