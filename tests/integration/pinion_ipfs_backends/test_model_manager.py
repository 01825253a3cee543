"""The model manager with a hub and a Kubo: what one process stored another retrieves, on another machine too."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs.backends.kubo_cli import KuboCli
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.routing.kubo import KuboEither
from tests.support.backends import Places
from tests.support.hub import Hub

pytestmark = pytest.mark.kubo
REPO = "managed/one"
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": os.urandom((2 << 20) + 7),
    "tokenizer.json": b"{}",
    "1_Pooling/config.json": b"{}",
    "pytorch_model.bin": b"another rendition",
}
WANTED = {name: data for name, data in FILES.items() if name != "pytorch_model.bin"}
STORE = """
import json, sys, pinion_ipfs
stored = pinion_ipfs.ModelManager().add_model_with_ipfs_storage(sys.argv[1], sys.argv[2], name="one", tags=["tiny"])
print(json.dumps([stored.cid, stored.manifest_cid, stored.repo, stored.commit, stored.files, stored.backends]))
"""
RETRIEVE = """
import json, sys, pinion_ipfs
manager = pinion_ipfs.ModelManager()
found = manager.retrieve_model_from_ipfs(sys.argv[1], sys.argv[2])
print(json.dumps([found.served_by, [model.name for model in manager.search("TINY")]]))
"""


def run(program: str, *arguments: str, **variables: str) -> Any:
    """Run a program in a process of its own, as a script of a user's; return what it prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "IPFS_", "KUBO_"))}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=inherited | variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_repository_stored_by_one_process_is_retrieved_by_others_here_and_elsewhere(
    hub: Hub, places: Places, tmp_path: Path
) -> None:
    hub.add_repo(REPO, FILES)
    here = {"HF_HOME": str(tmp_path / "here"), "HF_ENDPOINT": hub.endpoint, "KUBO_API": places.kubo.rpc_url}
    cid, manifest_cid, repo, commit, files, backends = run(STORE, REPO, "main", **here)
    assert (repo, files, backends) == (REPO, sorted(WANTED), ["hf_cache", "kubo_rpc"])
    assert (tmp_path / "here/hub/models--managed--one/snapshots" / commit / "config.json").is_file()
    assert {cid, manifest_cid} <= set(places.kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split())

    fetched = hub.repo_stats(REPO)["bytes"]
    assert run(RETRIEVE, cid, str(tmp_path / "copy"), **here) == ["store", ["one"]]
    there = here | {"HF_HOME": str(tmp_path / "there")}
    assert run(RETRIEVE, cid, str(tmp_path / "far"), **there) == ["kubo_rpc", []]
    assert hub.repo_stats(REPO)["bytes"] == fetched
    assert read(tmp_path / "copy") == read(tmp_path / "far") == WANTED
    assert places.kubo.add(tmp_path / "far", "--only-hash") == cid


def test_what_was_fetched_is_collected_once_it_is_removed_also_by_the_same_process(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo(REPO, FILES)
    cache = ipfs.HfCache("cache", tmp_path)
    manager = ipfs.ModelManager(tmp_path, backend=cache)
    stored = manager.store_model_to_ipfs(REPO, endpoint=hub.endpoint)
    assert (stored.repo, stored.files, stored.backends) == (REPO, tuple(sorted(WANTED)), ("cache",))
    assert ipfs.gc(backend=cache, idle_seconds=0)[0].freed == 0
    manager.remove(stored.cid)
    assert ipfs.gc(backend=cache, idle_seconds=0)[0].freed >= stored.size_bytes


def test_a_folder_goes_to_each_backend_and_is_given_up_again(places: Places, tmp_path: Path) -> None:
    mine = {**WANTED, "model.safetensors": os.urandom(9)}  # another model than the daemon has pinned for others
    for name, data in mine.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(data)
    for name in ("kubo_rpc", "kubo_cli"):
        manager = ipfs.ModelManager(tmp_path / name, backend=places.makers()[name]())
        stored = manager.store_model_to_ipfs(tmp_path / "mine")
        assert stored.backends == (name,)
        elsewhere = ipfs.ModelManager(tmp_path / "elsewhere", backend=places.makers()[name]())
        assert elsewhere.retrieve_model_from_ipfs(stored.cid, tmp_path / f"from-{name}").served_by == name
        assert read(tmp_path / f"from-{name}") == mine
        pinned = ipfs.pin_ls(backend=places.makers()[name]())
        assert {stored.cid, stored.manifest_cid} <= set(pinned)
        assert manager.remove(stored.cid).unpinned == (name,)
        assert not {stored.cid, stored.manifest_cid} & set(ipfs.pin_ls(backend=places.makers()[name]()))


def test_a_kubo_reached_in_two_ways_gives_a_pin_up_by_the_one_that_works(places: Places, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(os.urandom(9))
    program = KuboCli("kubo_cli", str(places.repo.binary), repository=places.repo.path)
    stored = ipfs.ModelManager(tmp_path / "hf", backend=program).store_model_to_ipfs(tmp_path / "config.json")
    either = KuboEither(KuboRpc("kubo_rpc", "http://127.0.0.1:9"), program)
    assert ipfs.ModelManager(tmp_path / "hf", backend=either).remove(stored.cid).unpinned == ("kubo_cli",)
    assert stored.cid not in ipfs.pin_ls(backend=program)
