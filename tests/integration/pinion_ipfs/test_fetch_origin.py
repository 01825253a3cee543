"""Fetching from the hub into the store, through the child process."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import (
    CidMismatch,
    DigestMismatch,
    DownloadFailed,
    DownloadStalled,
    InsufficientStorage,
    OriginUnreachable,
    SourceNotFound,
    StoreCorrupted,
    Unauthorized,
)
from pinion_ipfs.fetching.fetcher import FetchRequest, SourceBytes
from pinion_ipfs.hub.revisions import RepoId, resolve_commit
from tests.support.fetching import make_fetching, make_request, origin_children
from tests.support.hub import Hub, start_hub, stop_hub
from tests.support.kubo import IpfsRepo
from tests.support.serve import eventually

MIB = 1024 * 1024


async def test_all_minilm_has_the_cid_of_ipfs_add_and_a_genuine_cache(hub: Hub, ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    request = await make_request(hub, hub.minilm)
    one = make_fetching(tmp_path / "hf")
    before = hub.repo_stats(hub.minilm).get("file_gets", 0)
    snapshot = await one.run(request)
    assert str(snapshot.cid) == ipfs_offline.add(snapshot.path, "--only-hash")
    assert (snapshot.size_bytes, snapshot.file_count) == (91_618_861, 13)
    assert hub.repo_stats(hub.minilm)["file_gets"] == before + 13

    receipt = await one.fetcher.pin(snapshot)
    assert receipt.pins == ()
    (repo,) = scan_cache_dir(one.store.cache_dir).repos
    (revision,) = repo.revisions
    assert (repo.repo_id, revision.commit_hash) == (hub.minilm, str(request.commit))
    assert revision.refs == {"main", "pinion/test%2F1"}
    found = snapshot_download(hub.minilm, cache_dir=one.store.cache_dir, local_files_only=True)
    assert Path(found) == snapshot.path

    last = one.progress[-1]
    assert (last.total_bytes, last.completed_bytes, last.eta_seconds) == (91_618_861, 91_618_861, 0)
    assert last.sources == (SourceBytes("Origin", hub.endpoint, 91_618_861),)
    assert [done.completed_bytes for done in one.progress] == sorted(done.completed_bytes for done in one.progress)
    (fetched,) = one.receipts
    assert (fetched.operation, fetched.backend, fetched.degraded) == ("fetch", hub.endpoint, False)

    # The second time everything is there, and the origin is asked for no file.
    again = make_fetching(tmp_path / "hf")
    assert (await again.run(request)).cid == snapshot.cid
    assert hub.repo_stats(hub.minilm)["file_gets"] == before + 13
    assert again.progress[-1].sources == (SourceBytes("Store", "store", 91_618_861),)
    await eventually(lambda: not origin_children(), what="the child goes")


@pytest.mark.model
async def test_transformers_loads_from_the_store(hub: Hub, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    one = make_fetching(tmp_path / "hf")
    snapshot = await one.run(await make_request(hub, hub.minilm))
    assert AutoConfig.from_pretrained(snapshot.path, local_files_only=True).hidden_size == 384
    tokenizer = AutoTokenizer.from_pretrained(hub.minilm, cache_dir=one.store.cache_dir, local_files_only=True)
    assert tokenizer("hello")["input_ids"] == [101, 7592, 102]


async def test_a_flipped_bit_in_the_store_is_found_and_repaired(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("flip/one", {"config.json": b"{}", "model.safetensors": os.urandom(3 * MIB)})
    request = await make_request(hub, "flip/one")
    one = make_fetching(tmp_path / "hf")
    snapshot = await one.run(request)
    with snapshot.files["model.safetensors"].open("r+b") as stream:
        stream.seek(2 * MIB + 17)
        byte = stream.read(1)[0]
        stream.seek(2 * MIB + 17)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(StoreCorrupted, match=r"model\.safetensors"):
        await one.fetcher.verify(snapshot)
    assert not (snapshot.path / "model.safetensors").is_symlink()
    assert scan_cache_dir(one.store.cache_dir).warnings == []
    gets = hub.repo_stats("flip/one")["gets_by_path"]
    assert (await one.run(request)).cid == snapshot.cid
    assert hub.repo_stats("flip/one")["gets_by_path"] == gets | {"model.safetensors": 2}


async def test_a_wrong_body_from_the_origin_never_reaches_the_store(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("corrupt/body", {"config.json": b"{}", "model.safetensors": os.urandom(MIB)})
    hub.configure("corrupt/body", corrupt=["model.safetensors"])
    request = await make_request(hub, "corrupt/body")
    one = make_fetching(tmp_path / "hf")
    with pytest.raises(DigestMismatch, match=r"model\.safetensors from http.*sha256 is .* the hub announced"):
        await one.run(request)
    assert not list(one.store.cache_dir.glob("*/snapshots/*/*"))
    assert one.receipts[-1].error.startswith("DigestMismatch")
    hub.configure("corrupt/body")
    await one.run(request)


async def test_the_wrong_expected_cid_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("expected/cid", {"config.json": b"{}"})
    wrong = Cid.parse("bafybeidl3jgqsw755uqljwcc5yom4dstyeclrjlxvkwm7mn72vs5bwnjsy")
    one = make_fetching(tmp_path / "hf")
    with pytest.raises(CidMismatch, match=f"expected/cid@.*: expected {wrong}, got baf") as caught:
        await one.run(await make_request(hub, "expected/cid", expected_cid=wrong))
    assert (caught.value.reason, caught.value.retryable) == ("CIDMismatch", False)


async def test_too_little_space_is_refused_before_the_first_byte(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("too/big", {"model.safetensors": os.urandom(2 * MIB)})
    request = await make_request(hub, "too/big")
    limited = FetchRequest(request.repo, "main", request.commit, hub.endpoint, size_limit_bytes=MIB)
    one = make_fetching(tmp_path / "hf")
    with pytest.raises(InsufficientStorage, match=r"needs \d+ bytes, 1048576 are available") as caught:
        await one.run(limited)
    assert caught.value.needed_bytes > 2 * MIB
    assert caught.value.available_bytes == MIB
    assert hub.repo_stats("too/big")["file_gets"] == 0


async def test_another_listing_than_the_revisions_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("other/listing", {"config.json": b"{}"})
    request = await make_request(hub, "other/listing")
    asked = FetchRequest(request.repo, "main", request.commit, hub.endpoint, source_digest="0" * 64)
    with pytest.raises(DigestMismatch, match=f"the revision was made for {'0' * 64}"):
        await make_fetching(tmp_path / "hf").fetcher.resolve(asked)


async def test_errors_of_the_child_keep_their_names(hub: Hub, tmp_path: Path) -> None:
    folder = hub.add_repo("child/errors", {"a.json": b"{}", "b.json": b"[]"})
    request = await make_request(hub, "child/errors")
    one = make_fetching(tmp_path / "hf")
    listing = await one.fetcher.resolve(request)
    hub.configure("child/errors", gated=True)
    with pytest.raises(Unauthorized, match="gated"):
        await one.fetcher.fetch(request, listing)
    hub.configure("child/errors")
    (folder / "b.json").unlink()
    with pytest.raises(SourceNotFound):
        await one.fetcher.fetch(request, listing)
    await eventually(lambda: not origin_children(), what="the child goes")


async def test_a_hub_that_goes_away_is_unreachable(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    root.mkdir()
    gone = start_hub(root)
    try:
        gone.add_repo("gone/soon", {"a.json": b"{}"})
        request = await make_request(gone, "gone/soon")
        one = make_fetching(tmp_path / "hf")
        listing = await one.fetcher.resolve(request)
    finally:
        stop_hub(gone)
    with pytest.raises(OriginUnreachable) as caught:
        await one.fetcher.fetch(request, listing)
    assert caught.value.retryable


async def _until_one_file_is_stored(folder: Path) -> int:
    """Wait until the child has published a file; return the child's id."""
    limit = time.monotonic() + 60
    while not (await asyncio.to_thread(lambda: list(folder.glob("*/blobs/*"))) and origin_children()):
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
    (pid,) = origin_children()
    return pid


async def test_a_killed_child_is_told_and_whole_files_are_not_fetched_again(slow_hub: Hub, tmp_path: Path) -> None:
    slow_hub.add_repo("kill/me", {"config.json": b"{}", "big.safetensors": os.urandom(12 * MIB)})
    slow_hub.order("kill/me", {"kind": "stall", "on": "GET big.safetensors", "times": 1})  # it is killed before its end
    request = await make_request(slow_hub, "kill/me")
    one = make_fetching(tmp_path / "hf")
    listing = await one.fetcher.resolve(request)
    fetching = asyncio.create_task(one.fetcher.fetch(request, listing))
    child = await _until_one_file_is_stored(one.store.cache_dir)
    await eventually(
        lambda: "big.safetensors" in slow_hub.repo_stats("kill/me").get("gets_by_path", {}), what="the large file is asked for"
    )
    await eventually(lambda: any(done.completed_bytes for done in one.progress), what="word of the first bytes")
    os.kill(child, signal.SIGKILL)
    with pytest.raises(DownloadFailed, match="ended with signal SIGKILL") as caught:
        await fetching
    assert caught.value.retryable
    assert 0 < one.progress[-1].completed_bytes < listing.total_bytes

    # Half a file is of no use to the client, and takes space.
    assert not list(one.store.staging.rglob("*.incomplete"))
    await one.fetcher.verify(await one.fetcher.fetch(request, listing))
    assert slow_hub.repo_stats("kill/me")["gets_by_path"] == {"config.json": 1, "big.safetensors": 2}


async def test_a_cancelled_fetch_leaves_no_child(slow_hub: Hub, tmp_path: Path) -> None:
    slow_hub.add_repo("cancel/me", {"config.json": b"{}", "big.safetensors": os.urandom(12 * MIB)})
    slow_hub.order("cancel/me", {"kind": "stall", "on": "GET big.safetensors"})  # it is cancelled before its end
    request = await make_request(slow_hub, "cancel/me")
    one = make_fetching(tmp_path / "hf")
    fetching = asyncio.create_task(one.fetcher.fetch(request, await one.fetcher.resolve(request)))
    await _until_one_file_is_stored(one.store.cache_dir)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    await eventually(lambda: not origin_children(), what="the child goes")


async def test_a_silent_origin_is_dropped(slow_hub: Hub, tmp_path: Path) -> None:
    slow_hub.add_repo("stall/me", {"big.safetensors": os.urandom(MIB)})
    slow_hub.configure("stall/me", rate=1)
    request = await make_request(slow_hub, "stall/me")
    one = make_fetching(tmp_path / "hf", stall_seconds=8)
    with pytest.raises(DownloadStalled, match="no byte for 8 s"):
        await one.run(request)
    await eventually(lambda: not origin_children(), what="the child goes")


async def test_the_child_dies_with_its_parent(slow_hub: Hub, tmp_path: Path) -> None:
    import sys

    from pinion_ipfs.origin import OriginJob

    slow_hub.add_repo("orphan/child", {"big.safetensors": os.urandom(12 * MIB)})
    slow_hub.order("orphan/child", {"kind": "stall", "on": "GET big.safetensors"})  # it does not end by itself
    request = await make_request(slow_hub, "orphan/child")
    one = make_fetching(tmp_path / "hf")
    listing = await one.fetcher.resolve(request)
    job = OriginJob(
        RepoId.parse("orphan/child"),
        request.commit,
        slow_hub.endpoint,
        "",
        one.store.hf_home,
        one.store.cache_dir,
        listing.files,
    )
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pinion_ipfs.origin"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(job.encode())
    async with asyncio.timeout(60):
        await child.stdout.readline()
        child.stdin.close()
        await child.stdout.read()
        assert await child.wait() == 143


async def test_the_child_gets_no_token_of_the_machine(hub: Hub) -> None:
    from pinion_ipfs.origin.parent import child_environment

    os.environ["HF_TOKEN"] = "hf_secret"
    try:
        environment = child_environment(Path("/tmp/x"))
    finally:
        del os.environ["HF_TOKEN"]
    assert "hf_secret" not in environment.values()
    assert environment["HF_HOME"] == "/tmp/x"
    assert environment["HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT"] == "128mb"


async def test_a_commit_can_be_asked_for_as_the_revision(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("by/commit", {"config.json": b"{}"})
    repo = RepoId.parse("by/commit")
    commit = await resolve_commit(repo, "main", endpoint=hub.endpoint)
    one = make_fetching(tmp_path / "hf")
    snapshot = await one.run(FetchRequest(repo, str(commit), commit, hub.endpoint))
    assert not (snapshot.path.parents[1] / "refs").exists()
