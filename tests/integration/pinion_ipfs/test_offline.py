"""A cache that somebody filled, asked without any hub."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import hf_hub_download, snapshot_download

from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.errors import InvalidRepository, SourceNotFound
from pinion_ipfs.hub.revisions import Commit, RepoId, list_files, resolve_commit
from pinion_ipfs.store import Store
from pinion_ipfs.store.offline import commits, find_commit, list_snapshot, list_whole
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.volumes import read_only

REPO = RepoId.parse("offline/one")
WEIGHTS = b"weights" * 1000
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": b"another rendition",
    "tokenizer.json": b"{} ",
    "notes.md": b"",
}
# Whoever connects to anything, asks for a name, or starts a process that might, ends with 99.
GUARD = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.fork", "os.posix_spawn"):
        os.write(2, f"{event}{arguments}".encode())
        os._exit(99)
sys.addaudithook(refuse)
from pinion_ipfs.commands.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def cache(hub: Hub, tmp_path: Path) -> Store:
    """Return a store that the hub's own library filled by commit, so that no ref is there."""
    hub.add_repo(str(REPO), FILES)
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
    everything = await list_files(REPO, commit, endpoint=hub.endpoint, allow_patterns=["*"])
    assert list_snapshot(cache, REPO, commit) == everything
    assert list_whole(cache, REPO, commit) == await list_files(REPO, commit, endpoint=hub.endpoint)
    assert "nobody has said" in list_whole(cache, REPO, commit).unconfirmed
    digest = (await list_files(REPO, commit, endpoint=hub.endpoint)).source_digest
    assert not list_whole(cache, REPO, commit, source_digest=digest).unconfirmed
    with pytest.raises(SourceNotFound, match="not the files that were asked for, or not all of them"):
        list_whole(cache, REPO, commit, source_digest="0" * 64)
    (cache.snapshot_path(REPO, commit) / "config.json").resolve().unlink()
    with pytest.raises(SourceNotFound, match=r"'config\.json' is no file of the cache, or its bytes are gone"):
        list_snapshot(cache, REPO, commit)
    with pytest.raises(SourceNotFound, match="no files"):
        list_snapshot(cache, REPO, Commit.parse("0" * 40))
    assert commits(cache, RepoId.parse("offline/none")) == []


@pytest.mark.parametrize("kind", ["a link out of the cache", "a link to a folder", "a link to another repository"])
def test_a_snapshot_leads_to_blobs_of_its_own_and_nowhere_else(hub: Hub, cache: Store, tmp_path: Path, kind: str) -> None:
    commit = Commit.parse(commit_of(hub))
    name = hashlib.sha256(WEIGHTS).hexdigest()
    link = cache.snapshot_path(REPO, commit) / "model.safetensors"
    other = {
        "a link out of the cache": tmp_path / name,
        "a link to a folder": tmp_path / "folder" / name,
        "a link to another repository": cache.cache_dir / "models--evil--one/blobs" / name,
    }[kind]
    other.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a link to a folder":
        other.mkdir()
    else:
        other.write_bytes(WEIGHTS)
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(SourceNotFound, match=r"'model\.safetensors' is no file of the cache"):
        list_snapshot(cache, REPO, commit)


def test_what_a_stranger_put_into_an_open_cache_names_no_commit_and_no_file(hub: Hub, cache: Store) -> None:
    commit = Commit.parse(commit_of(hub))
    ref = cache.cache_dir / REPO.folder / "refs/main"
    ref.parent.mkdir()
    ref.write_text(str(commit))
    link = cache.snapshot_path(REPO, commit) / "pytorch_model.bin"
    link.symlink_to("../../blobs/" + hashlib.sha256(WEIGHTS).hexdigest())
    for planted in (ref, link):
        os.lchown(planted, 1001, 1001)
        planted.parent.chmod(0o1777)
    os.chown(ref.parent, 1002, 1002)  # so that it is not closed and cleared, as one of ours is
    os.chown(ref.parent.parent, 1002, 1002)
    os.chown(cache.cache_dir, 1002, 1002)
    with pytest.raises(SourceNotFound, match="nothing says which commit 'main' is"):
        find_commit(cache, REPO, "main")
    assert all(file.path != "pytorch_model.bin" for file in list_snapshot(cache, REPO, commit).files)
    assert not link.is_symlink()


def offline(home: Path, *arguments: str, flag: str = "--offline", **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"HF_HOME": str(home)} | variables
    environment.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-c", GUARD, "fetch", *filter(None, [flag]), "--json", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def told(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode in tuple(ExitCode), done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def test_the_command_verifies_what_is_there_on_a_read_only_volume(hub: Hub, cache: Store, tmp_path: Path) -> None:
    commit = commit_of(hub)
    expected = (await make_fetching(tmp_path / "other").run(await make_request(hub, str(REPO)))).cid
    with read_only(cache.hf_home):
        done = offline(cache.hf_home, str(REPO), "--revision", commit, "--cid", str(expected))
    assert told(done)["cid"] == str(expected)
    assert "nobody has said" in told(done)["unconfirmed"]
    assert not (cache.hf_home / "pinion").exists()

    answer = told(offline(cache.hf_home, str(REPO), flag="", HF_HUB_OFFLINE="1"))
    assert answer["error"] == "SourceNotFound"
    assert commit in answer["message"]


async def test_the_command_names_what_is_wrong_and_asks_nobody(hub: Hub, cache: Store) -> None:
    commit = commit_of(hub)
    blob = cache.cache_dir / REPO.folder / "blobs" / hashlib.sha256(WEIGHTS).hexdigest()
    flip(blob)
    with read_only(cache.hf_home):
        answer = told(offline(cache.hf_home, str(REPO), "--revision", commit))
    assert answer["error"] == "DigestMismatch"
    assert "model.safetensors from the local cache" in answer["message"]

    for _ in range(2):  # it stays: without it the rest might pass for whole
        answer = told(offline(cache.hf_home, str(REPO), "--revision", commit))
        assert answer["error"] == "DigestMismatch"
        assert "model.safetensors from the local cache: sha256 is" in answer["message"]

    # With a record of what belongs there it is taken out, as it is when a hub can give a right one.
    await make_fetching(cache.hf_home).run(await make_request(hub, str(REPO)))
    flip(blob)
    blob.chmod(0o666)  # a blob that others can write is hashed whatever its sidecar says
    answer = told(offline(cache.hf_home, str(REPO)))
    assert answer["error"] == "DigestMismatch"
    assert "model.safetensors from the local cache: sha256 is" in answer["message"]
    assert "taken out" in answer["message"]
    assert not blob.exists()
    answer = told(offline(cache.hf_home, str(REPO)))
    assert answer["error"] == "SourceNotFound"
    assert "missing: model.safetensors" in answer["message"]


async def test_with_a_record_of_ours_a_snapshot_is_whole_or_what_misses_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo(str(REPO), FILES)
    one = make_fetching(tmp_path / "hf")
    snapshot = await one.run(await make_request(hub, str(REPO)))
    manifests = list((tmp_path / "hf/pinion/manifests").iterdir())
    for link in ("model.safetensors", "config.json"):
        (snapshot.path / link).unlink()
    answer = told(offline(tmp_path / "hf", str(REPO)))
    assert (answer["cid"], answer["unconfirmed"]) == (str(snapshot.cid), "")
    assert (snapshot.path / "model.safetensors").read_bytes() == WEIGHTS
    assert list((tmp_path / "hf/pinion/manifests").iterdir()) == manifests

    (snapshot.path / "tokenizer.json").resolve().unlink()
    answer = told(offline(tmp_path / "hf", str(REPO)))
    assert answer["error"] == "SourceNotFound"
    assert answer["message"].endswith("not whole, these are missing: tokenizer.json")


def test_a_cache_with_a_part_of_a_commit_is_not_whole_and_leaves_no_record(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo(str(REPO), FILES)
    hf_hub_download(str(REPO), "config.json", endpoint=hub.endpoint, cache_dir=tmp_path / "hf/hub", token=False)
    answer = told(offline(tmp_path / "hf", str(REPO)))
    assert answer["error"] == "SourceNotFound"
    assert "missing: model.safetensors, or weights in another format, tokenizer.json, or vocab.txt" in answer["message"]
    assert not list((tmp_path / "hf").glob("pinion/manifests/*"))


async def test_what_was_unconfirmed_stays_so(hub: Hub, cache: Store) -> None:
    for _ in range(2):
        answer = told(offline(cache.hf_home, str(REPO), "--revision", commit_of(hub)))
        assert "nobody has said" in answer["unconfirmed"]
    await make_fetching(cache.hf_home).run(await make_request(hub, str(REPO)))
    assert told(offline(cache.hf_home, str(REPO)))["unconfirmed"] == ""


def flip(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"?")
