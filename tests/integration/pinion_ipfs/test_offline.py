"""A cache that somebody filled, asked without any hub."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from pinion_ipfs.errors import InvalidRepository, SourceNotFound
from pinion_ipfs.hub import Commit, RepoId, list_files, resolve_commit
from pinion_ipfs.store import Store
from pinion_ipfs.store.offline import commits, find_commit, list_snapshot
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.volumes import read_only

REPO = RepoId.parse("offline/one")


@pytest.fixture
def cache(hub: Hub, tmp_path: Path) -> Store:
    """Return a store that the hub's own library filled by commit, so that no ref is there."""
    hub.add_repo(str(REPO), {"config.json": b"{}", "a/model.safetensors": b"weights" * 1000, "notes.md": b""})
    store = Store(tmp_path / "hf")
    snapshot_download(str(REPO), revision=commit_of(hub), endpoint=hub.endpoint, cache_dir=store.cache_dir, token=False)
    return store


def commit_of(hub: Hub) -> str:
    from huggingface_hub import HfApi

    sha = HfApi(endpoint=hub.endpoint, token=False).model_info(str(REPO)).sha
    assert sha is not None
    return sha


def test_a_commit_is_found_and_a_name_without_a_ref_is_not(hub: Hub, cache: Store) -> None:
    commit = commit_of(hub)
    assert str(find_commit(cache, REPO, commit)) == commit
    with pytest.raises(SourceNotFound, match=f"nothing says which commit 'main' is; commits at hand: {commit}"):
        find_commit(cache, REPO, "main")
    with pytest.raises(SourceNotFound, match=f"commit {'0' * 40} is not there; commits at hand: {commit}"):
        find_commit(cache, REPO, "0" * 40)
    with pytest.raises(SourceNotFound, match="commits at hand: none"):
        find_commit(cache, RepoId.parse("offline/none"), "main")
    with pytest.raises(InvalidRepository):
        find_commit(cache, REPO, "../../etc/passwd")


@pytest.mark.parametrize("written", ["{}", "{}\n", "{}\r\n", "  {}  \n\n"])
def test_a_ref_is_read_however_it_was_written(hub: Hub, cache: Store, written: str) -> None:
    commit = commit_of(hub)
    ref = cache.cache_dir / REPO.folder / "refs/feature/x"
    ref.parent.mkdir(parents=True)
    ref.write_bytes(written.format(commit).encode())
    with read_only(cache.hf_home):
        assert str(find_commit(cache, REPO, "feature/x")) == commit
    assert ref.read_bytes() == written.format(commit).encode()


@pytest.mark.parametrize("written", [b"", b"\n", b"main", b"\xff\xfe", b"0" * 40])
def test_a_ref_that_says_nothing_of_use_counts_as_absent(cache: Store, written: bytes) -> None:
    ref = cache.cache_dir / REPO.folder / "refs/main"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_bytes(written)
    with pytest.raises(SourceNotFound, match="commits at hand"):
        find_commit(cache, REPO, "main")


async def test_the_listing_of_a_cache_is_the_hubs(hub: Hub, cache: Store) -> None:
    commit = await resolve_commit(REPO, "main", endpoint=hub.endpoint)
    assert list_snapshot(cache, REPO, commit) == await list_files(REPO, commit, endpoint=hub.endpoint)
    (cache.snapshot_path(REPO, commit) / "config.json").resolve().unlink()
    with pytest.raises(SourceNotFound, match=r"'config\.json' is no file of the cache, or its bytes are gone"):
        list_snapshot(cache, REPO, commit)
    with pytest.raises(SourceNotFound, match="no files"):
        list_snapshot(cache, REPO, Commit.parse("0" * 40))
    assert commits(cache, RepoId.parse("offline/none")) == []


def offline(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # Nobody listens there: whoever asks the hub fails, or waits.
    environment = os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-m", "pinion_ipfs.cli", "fetch", "--offline", "--json", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


async def test_the_command_verifies_what_is_there_on_a_read_only_volume(hub: Hub, cache: Store, tmp_path: Path) -> None:
    commit = commit_of(hub)
    expected = (await make_fetching(tmp_path / "other").run(await make_request(hub, str(REPO)))).cid
    with read_only(cache.hf_home):
        done = offline(cache.hf_home, str(REPO), "--revision", commit, "--cid", str(expected))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["cid"] == str(expected)
    assert not (cache.hf_home / "pinion").exists()

    done = offline(cache.hf_home, str(REPO))
    assert (done.returncode, json.loads(done.stdout)["error"]) == (1, "SourceNotFound")
    assert commit in json.loads(done.stdout)["message"]


def test_the_command_takes_out_what_is_wrong_and_fetches_nothing(hub: Hub, cache: Store) -> None:
    commit = commit_of(hub)
    gets = hub.repo_stats(str(REPO))["file_gets"]
    blob = cache.cache_dir / REPO.folder / "blobs" / hashlib.sha256(b"weights" * 1000).hexdigest()
    blob.write_bytes(b"wrights" * 1000)
    done = offline(cache.hf_home, str(REPO), "--revision", commit)
    assert (done.returncode, json.loads(done.stdout)["error"]) == (1, "OriginUnreachable")
    assert hub.repo_stats(str(REPO))["file_gets"] == gets
    assert not blob.exists()
    shutil.rmtree(cache.hf_home)
