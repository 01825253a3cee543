"""Caches on filesystems that lack something, or are two: locks, links, permissions, renaming."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

from pinion_ipfs.commands.exit_codes import ExitCode
from tests.support.faulty_calls import FaultyCalls
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.volumes import read_only, small_volume

REPO = "odd/model"
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "copy/config.json": b'{"model_type": "bert"}',
    "model.safetensors": b"weights" * 200_000,
    "tokenizer.json": b"{} ",
}


@pytest.fixture(scope="module")
def cid(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make the repository, and return its address as an ordinary filesystem gives it."""
    hub.add_repo(REPO, FILES)
    return str(run(hub, tmp_path_factory.mktemp("plain"))[0]["cid"])


def run(hub: Hub, home: Path, *arguments: str, **variables: str) -> tuple[dict[str, Any], str]:
    """Run `pinion-ipfs fetch` to its good end; return what it printed and what it complained of."""
    environment = os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint} | variables
    command = [sys.executable, "-m", "pinion_ipfs", "fetch", "--json", REPO, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, done.stderr


def read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.needs_program("gcc")
@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"flock": "EBADMSG"}, "no file locks in"),
        ({"flock": "ENOLCK"}, "no file locks in"),
        ({"flock": "EIO", "symlink": "EPERM"}, "no symbolic links on the filesystem of"),
        (
            {"flock": "ENOTSUP", "symlink": "ENOTSUP", "link": "EPERM", "chmod": "EPERM"},
            "no symbolic links on the filesystem of",
        ),
    ],
)
def test_locks_links_and_permissions_are_done_without(
    hub: Hub, tmp_path: Path, cid: str, faulty_calls: FaultyCalls, faults: dict[str, str], said: str
) -> None:
    variables = faulty_calls.variables(**faults)
    answer, complaints = run(hub, tmp_path, **variables)
    assert answer["cid"] == cid
    assert complaints.count(said) == 1
    assert read(Path(answer["path"])) == FILES
    links = {path.is_symlink() for path in Path(answer["path"]).rglob("*") if path.is_file()}
    assert links == {"symlink" not in faults}
    answer, _ = run(hub, tmp_path, "--offline", **variables)
    assert (answer["cid"], answer["unconfirmed"]) == (cid, "")
    assert scan_cache_dir(tmp_path / "hub").warnings == []
    found = snapshot_download(REPO, revision="main", cache_dir=tmp_path / "hub", local_files_only=True)
    assert read(Path(found)) == FILES


@pytest.mark.needs_program("gcc")
def test_a_copy_in_a_snapshot_is_looked_at_too(hub: Hub, tmp_path: Path, cid: str, faulty_calls: FaultyCalls) -> None:
    variables = faulty_calls.variables(symlink="EPERM", link="EPERM")
    answer, _ = run(hub, tmp_path, **variables)
    copy = Path(answer["path"]) / "model.safetensors"
    copy.write_bytes(copy.read_bytes().replace(b"w", b"W", 1))
    environment = os.environ | {"HF_HOME": str(tmp_path)} | variables
    command = [sys.executable, "-m", "pinion_ipfs", "fetch", "--json", "--offline", REPO]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == ExitCode.MISMATCH
    assert "no longer what was stored: model.safetensors" in json.loads(done.stdout)["message"]
    assert run(hub, tmp_path, "--offline", **variables)[0]["cid"] == cid
    assert read(Path(answer["path"])) == FILES


def test_a_cache_of_real_files_as_the_hubs_library_makes_it(hub: Hub, tmp_path: Path, cid: str) -> None:
    script = "import sys; from huggingface_hub import snapshot_download as get; get(sys.argv[1], token=False)"
    patient = {"HF_HUB_ETAG_TIMEOUT": "60", "HF_HUB_DOWNLOAD_TIMEOUT": "60"}  # 10 s by themselves: busy machines take longer
    own = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_SYMLINKS": "1"}
    command = [sys.executable, "-c", script, REPO]
    got = subprocess.run(command, env=os.environ | own | patient, timeout=120, capture_output=True, text=True)
    assert got.returncode == 0, got.stderr
    assert not list(tmp_path.glob("hub/*/blobs/*"))
    gets = hub.repo_stats(REPO)["file_gets"]
    with read_only(tmp_path):
        answer, _ = run(hub, tmp_path, "--offline")
        assert answer["cid"] == cid
        assert answer["unconfirmed"].endswith("or what is in those that are no links")
        assert run(hub, tmp_path)[0]["cid"] == cid
    for variables in ({"HF_HUB_DISABLE_SYMLINKS": "1"}, {}):
        answer, _ = run(hub, tmp_path, **variables)
        assert answer["cid"] == cid
        assert read(Path(answer["path"])) == FILES
    assert hub.repo_stats(REPO)["file_gets"] == gets


@contextmanager
def bound(folder: Path) -> Iterator[Path]:
    """Mount a folder over itself: the same filesystem, but nothing can be renamed into it."""
    folder.mkdir()
    subprocess.run(["mount", "--bind", folder, folder], check=True, timeout=30)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True, timeout=30)


@pytest.mark.parametrize("place", ["a folder of the volume", "the volume itself", "a mount of the same filesystem"])
def test_a_cache_on_another_filesystem(hub: Hub, tmp_path: Path, cid: str, place: str) -> None:
    home, volume = tmp_path / "home", tmp_path / "volume"
    with bound(volume) if place.startswith("a mount") else small_volume(volume, "16m"):
        cache = volume / "hub" if place.startswith("a folder") else volume
        answer, _ = run(hub, home, HF_HUB_CACHE=str(cache))
        assert answer["cid"] == cid
        assert Path(answer["path"]).is_relative_to(cache)
        assert read(Path(answer["path"])) == FILES
        assert run(hub, home, "--offline", HF_HUB_CACHE=str(cache))[0]["unconfirmed"] == ""
        assert scan_cache_dir(cache).warnings == []
        assert not list(tmp_path.rglob("*.partial"))
    big = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size > 100_000]
    assert big == []


def test_a_cache_that_can_only_be_read_beside_a_home_that_can_be_written(hub: Hub, tmp_path: Path, cid: str) -> None:
    cache = tmp_path / "cache"
    snapshot_download(REPO, cache_dir=cache, endpoint=hub.endpoint, token=False)
    (cache / "models--odd--model/refs/main").unlink()
    with read_only(cache):
        for more in ((), ("--offline", "--revision", next(cache.glob("*/snapshots/*")).name)):
            answer, _ = run(hub, tmp_path / "home", *more, HF_HUB_CACHE=str(cache))
            assert (answer["cid"], answer["unconfirmed"]) == (cid, "")
            assert Path(answer["path"]).is_relative_to(cache)


@pytest.mark.parametrize("length", [232, 233, 255])
async def test_long_names_come_as_short_ones_do(hub: Hub, tmp_path: Path, length: int) -> None:
    files = FILES | {"n" * length: b"long", f"{'d' * length}/{'f' * length}": b"longer"}
    hub.add_repo(f"odd/names-{length}", files)
    one = make_fetching(tmp_path)
    snapshot = await one.run(await make_request(hub, f"odd/names-{length}"))
    assert read(snapshot.path) == files
    assert scan_cache_dir(tmp_path / "hub").warnings == []
