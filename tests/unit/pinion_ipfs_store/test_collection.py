"""What a collection takes from a store, in which order, and what it leaves: pinned, used, held, open, not ours."""

import json
import mmap
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from huggingface_hub import HFCacheInfo, scan_cache_dir

from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.content.unixfs import layout_tree
from pinion_ipfs.errors import BackendBusy, StoreInaccessible
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.store import PinRecord, Store
from pinion_ipfs.store.blobs import hash_blob
from pinion_ipfs.store.collection import Collection, collect
from pinion_ipfs.store.files import write_atomically
from pinion_ipfs.store.foreign import marker
from pinion_ipfs.store.in_use import open_inodes
from tests.support.hub_files import make_hub_file
from tests.support.volumes import as_user, bound, read_only

A, B = Commit.parse("a" * 40), Commit.parse("b" * 40)
SHARED = b"the same in each"
WEIGHTS = 50_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "hf")
    store.prepare()
    return store


def put(store: Store, repo: str, commit: Commit, *, age: float = 0.0, weights: bytes = b"") -> Manifest:
    """Lay a model out as a fetch does, last used `age` seconds ago."""
    parsed = RepoId.parse(repo)
    contents = {
        "config.json": f"{commit}".encode(),
        "tokenizer.json": SHARED,
        "model.safetensors": weights or os.urandom(WEIGHTS),
    }
    records = {}
    files: list[HubFile] = []
    for path, data in sorted(contents.items()):
        file = make_hub_file(path, data, lfs=path.startswith("model"))
        staged = store.staging / "incoming"
        staged.write_bytes(data)
        records[path] = hash_blob(staged, file, "a test")
        store.publish(parsed, file, staged, records[path])
        files.append(file)
    root = layout_tree({path: record.layout for path, record in records.items()}).root
    entries = tuple(ManifestFile(file, records[file.path].sha256, records[file.path].layout.cid) for file in files)
    manifest = Manifest(parsed, commit, root, entries)
    store.put_manifest(manifest)
    store.link_snapshot(parsed, commit, files, "main")
    used(store, manifest, age)
    return manifest


def used(store: Store, manifest: Manifest, age: float) -> None:
    """Make it look as if a model was last used so many seconds ago."""
    at = time.time() - age
    os.utime(store.side / "manifests" / f"{manifest.cid}.json", (at, at))
    for file in manifest.files:
        for path in (store.blob(manifest.repo, file.hub), store.sidecar(manifest.repo, file.hub)):
            os.utime(path, (at, at))


def now(store: Store, high: int = 0, low: int | None = None, *, foreign: bool = False, dry_run: bool = False) -> Collection:
    return collect(store, high=high, low=low, foreign=foreign, dry_run=dry_run, idle_seconds=0.0)


def size(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.parent.name != "refs")
    return sum(path.stat().st_size for path in files)


def names(store: Store) -> set[str]:
    return {f"{each.repo_id}@{found.commit_hash[0]}" for each in scan(store).repos for found in each.revisions}


def scan(store: Store) -> HFCacheInfo:
    found = scan_cache_dir(store.cache_dir)
    assert found.warnings == []
    return found


def test_all_that_nobody_wants_goes_and_the_hubs_library_finds_nothing_wrong(store: Store) -> None:
    put(store, "org/one", A)
    put(store, "org/two", A)
    write_atomically(store.side / "blocks" / str(Cid.of_block(RAW, b"block")), b"block")
    before = size(store.side.parent)
    told = now(store, dry_run=True)
    assert size(store.side.parent) == before
    done = now(store)
    assert (done.removed, done.freed, done.kept) == (told.removed, told.freed, ())
    assert (done.used, before - size(store.side.parent)) == (done.freed, done.freed)
    assert set(done.removed) == {f"org/one@{A}", f"org/two@{A}", str(Cid.of_block(RAW, b"block"))}
    assert names(store) == set()
    assert list(store.cache_dir.iterdir()) == []


def test_the_least_recently_used_goes_first_from_the_high_mark_down_to_the_low_one(store: Store) -> None:
    for age, repo in ((30, "org/newest"), (300, "org/old"), (3000, "org/older"), (30_000, "org/oldest")):
        put(store, repo, A, age=age)
    assert now(store, 5 * WEIGHTS, 0).removed == ()
    done = now(store, 3 * WEIGHTS, int(2.5 * WEIGHTS))
    assert done.removed == (f"org/oldest@{A}", f"org/older@{A}")
    assert done.used - done.freed <= 2.5 * WEIGHTS
    assert names(store) == {"org/newest@a", "org/old@a"}


def test_what_was_used_a_moment_ago_stays(store: Store) -> None:
    put(store, "org/one", A, age=5)
    put(store, "org/two", A, age=100)
    done = collect(store)
    assert done.removed == (f"org/two@{A}",)
    assert [(each.name, each.reason) for each in done.kept] == [(f"org/one@{A}", "used a moment ago")]


def test_blobs_that_another_commit_needs_stay(store: Store) -> None:
    weights = os.urandom(WEIGHTS)
    old = put(store, "org/one", A, age=1000, weights=weights)
    new = put(store, "org/one", B, weights=weights)
    done = now(store, low=WEIGHTS + 10_000, high=WEIGHTS + 10_000)
    assert (done.removed, done.used > WEIGHTS) == ((), True)
    store.pin(PinRecord("me", new.root, new.cid, new.repo, B))
    done = now(store)
    assert (done.removed, done.freed < 5_000) == ((f"org/one@{old.commit}",), True)
    store.verify_blobs(new.repo, [file.hub for file in new.files])
    assert names(store) == {"org/one@b"}
    assert (store.cache_dir / "models--org--one" / "refs" / "main").read_text() == str(B)


def pinned_by_record(store: Store, manifest: Manifest) -> None:
    store.pin(PinRecord("me", manifest.root, manifest.cid, manifest.repo, manifest.commit))


def pinned_by_cid(store: Store, manifest: Manifest) -> None:
    write_atomically(store.side / "cid-pins" / str(manifest.root), b"")


def pinned_in_part(store: Store, manifest: Manifest) -> None:
    write_atomically(store.side / "cid-pins" / str(manifest.files[1].cid), b"")


def held_by_somebody(store: Store, manifest: Manifest) -> None:
    store.hold(manifest.repo, manifest.commit, "a stranger's/owner")


@pytest.mark.parametrize("keep", [pinned_by_record, pinned_by_cid, pinned_in_part, held_by_somebody])
@pytest.mark.parametrize("foreign", [False, True])
def test_what_is_pinned_or_held_stays(store: Store, keep: Callable[[Store, Manifest], None], foreign: bool) -> None:
    manifest = put(store, "org/kept", A, age=1000)
    put(store, "org/gone", A)
    keep(store, manifest)
    done = now(store, foreign=foreign)
    assert done.removed == (f"org/gone@{A}",)
    assert [each.name for each in done.kept] == [f"org/kept@{A}"]
    assert "pinned" in done.kept[0].reason
    store.verify_blobs(manifest.repo, [file.hub for file in manifest.files])


def test_what_other_programs_brought_stays_until_it_is_asked_for(store: Store) -> None:
    ours = put(store, "org/ours", A)
    put(store, "org/theirs", A)
    for path in (store.side / "manifests").glob("*.json"):
        if path.stem != str(ours.cid):
            path.unlink()
    (store.snapshot_path(ours.repo, A) / "theirs.txt").write_text("their own file in our snapshot")
    done = now(store)
    assert done.removed == (f"org/ours@{A}",)
    assert (store.snapshot_path(ours.repo, A) / "theirs.txt").exists()
    assert "org/theirs@a" in names(store)
    done = now(store, foreign=True)
    assert f"org/theirs@{A}" in done.removed
    assert names(store) == set()


@contextmanager
def opened(path: Path) -> Iterator[None]:
    with path.open("rb"):
        yield


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    yield
    view.close()


@pytest.mark.parametrize("how", [opened, mapped])
def test_what_a_process_has_open_stays(store: Store, how: Callable[[Path], AbstractContextManager[None]]) -> None:
    manifest = put(store, "org/one", A)
    with how(store.snapshot_path(manifest.repo, A) / "model.safetensors"):
        done = now(store)
        assert done.removed == ()
        assert [each.reason for each in done.kept] == ["a process has a file of it open"]
    assert now(store).removed == (f"org/one@{A}",)


def brought_by_others(store: Store, manifest: Manifest, *paths: str) -> None:
    """Make it look as if another program had files of a model here before ours came."""
    write_atomically(marker(store.side, manifest.repo.folder, str(manifest.commit)), json.dumps(paths).encode())


@pytest.mark.parametrize("pin", [pinned_by_record, pinned_by_cid])
def test_a_pinned_revision_of_others_keeps_itself_and_no_other_that_shares_a_file(
    store: Store, pin: Callable[[Store, Manifest], None]
) -> None:
    theirs, ours = put(store, "org/one", A), put(store, "org/one", B)
    brought_by_others(store, theirs, *(file.hub.path for file in theirs.files))
    pin(store, theirs)
    done = now(store)
    assert done.removed == (f"org/one@{B}",)
    assert [(each.name, each.reason) for each in done.kept] == [(f"org/one@{A}", "pinned")]
    store.verify_blobs(theirs.repo, [file.hub for file in theirs.files])
    assert ours.root != theirs.root


def put_with_file_of_others(store: Store) -> Path:
    """Lay a model out of which only the configuration is another program's; return that file's blob."""
    manifest = put(store, "org/one", A, age=1000)
    brought_by_others(store, manifest, "config.json")
    return (store.snapshot_path(manifest.repo, A) / "config.json").resolve()


@pytest.mark.parametrize("how", [opened, mapped])
def test_a_revision_stays_while_a_file_of_others_in_it_is_open(
    store: Store, how: Callable[[Path], AbstractContextManager[None]]
) -> None:
    blob = put_with_file_of_others(store)
    with how(blob):
        done = now(store)
        assert (done.removed, [each.reason for each in done.kept]) == ((), ["a process has a file of it open"])
    assert now(store).removed == (f"org/one@{A}",)
    assert blob.exists()


def test_a_revision_stays_for_a_while_after_a_file_of_others_in_it_was_read(store: Store) -> None:
    blob = put_with_file_of_others(store)
    os.utime(blob, (time.time(), blob.stat().st_mtime))
    assert [each.reason for each in collect(store).kept] == ["used a moment ago"]
    os.utime(blob, (time.time() - 1000, blob.stat().st_mtime))
    assert collect(store).removed == (f"org/one@{A}",)
    assert blob.exists()


HOLDS = """
import pathlib, sys
from pinion_ipfs.store import Store
with Store(pathlib.Path(sys.argv[1])).uses.of_repository("models--org--one"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_fetches_stays_and_a_killed_one_holds_nothing(store: Store) -> None:
    put(store, "org/one", A)
    command = [sys.executable, "-c", HOLDS, str(store.hf_home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        done = now(store)
        assert done.removed == ()
        assert [each.reason for each in done.kept] == ["a process fetches or pins something of its repository"]
        process.kill()
        process.wait()
    assert now(store).removed == (f"org/one@{A}",)


def test_what_the_hubs_library_downloads_stays(store: Store) -> None:
    manifest = put(store, "org/one", A)
    unfinished = store.cache_dir / manifest.repo.folder / "blobs" / "abc.incomplete"
    unfinished.touch()
    assert [each.reason for each in now(store).kept] == ["another program downloads something of its repository"]
    os.utime(unfinished, (0, 0))
    assert now(store).removed == (f"org/one@{A}",)


def test_two_collections_at_once_and_one_that_waits_too_long(store: Store) -> None:
    for number in range(6):
        put(store, f"org/model-{number}", A)
    command = [sys.executable, "-c", COLLECTS, str(store.hf_home)]
    done = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in done]
    assert [process.returncode for process in done] == [0, 0]
    removed = [name for text in told for name in text.split()]
    assert sorted(removed) == [f"org/model-{number}@{A}" for number in range(6)]
    store.uses.wait_seconds = 0.0
    with store.uses.of_pins(), pytest.raises(BackendBusy, match="others collect or pin, for more than 0 s"):
        now(store)


COLLECTS = """
import pathlib, sys
from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import collect
print(*collect(Store(pathlib.Path(sys.argv[1])), idle_seconds=0).removed)
"""


def test_files_that_were_taken_out_go_too(store: Store) -> None:
    manifest = put(store, "org/one", A)
    store.pin(PinRecord("me", manifest.root, manifest.cid, manifest.repo, A))
    (weights,) = (file.hub for file in manifest.files if file.hub.path == "model.safetensors")
    store.quarantine(manifest.repo, weights)
    done = now(store)
    assert done.freed == WEIGHTS
    assert not size(store.side / "quarantine")


def test_limits_that_are_none(store: Store) -> None:
    with pytest.raises(ValueError, match="0 <= low <= high"):
        collect(store, high=1, low=2)


def test_a_user_who_cannot_write_collects_nothing(shared_folder: Path) -> None:
    store = Store(shared_folder / "hf")
    put(store_of(shared_folder), "org/one", A, age=1000)
    with as_user(65532), pytest.raises(StoreInaccessible, match="can't be written by this user: nothing is collected"):
        now(store)
    assert names(store) == {"org/one@a"}


@contextmanager
def read_only_view(folder: Path) -> Iterator[Path]:
    """Yield the same folder, mounted read-only elsewhere."""
    view = folder.with_name("view")
    view.mkdir()
    with bound(folder, view), read_only(view):
        yield view


@contextmanager
def other_users_view(folder: Path) -> Iterator[Path]:
    with as_user(65532):
        yield folder


@pytest.mark.parametrize("view", [read_only_view, other_users_view])
def test_who_can_only_read_keeps_collections_away_too(
    shared_folder: Path, view: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    store = store_of(shared_folder)
    manifest = put(store, "org/one", A)
    put(store, "org/two", A)
    with store.uses.of_repository(manifest.repo.folder), store.uses.of_blocks():
        pass  # as who fetches it does
    write_atomically(store.side / "blocks" / str(Cid.of_block(RAW, b"block")), b"block")
    with view(store.hf_home) as place:
        reader = Store(place)
        assert not reader.writable
        with reader.uses.of_repository(manifest.repo.folder), reader.uses.of_blocks(), as_user(0):
            done = now(store)
    assert done.removed == (f"org/two@{A}",)
    assert [(each.name, each.reason) for each in done.kept] == [
        ("single blocks", "somebody writes or pins some of them"),
        (f"org/one@{A}", "a process fetches or pins something of its repository"),
    ]
    assert len(now(store).removed) == 2


def store_of(folder: Path) -> Store:
    store = Store(folder / "hf")
    store.prepare()
    return store


def test_the_numbers_of_sockets_and_pipes_are_those_of_no_files(tmp_path: Path) -> None:
    """They come from other counters: a file whose number one of them happens to have would stay for it."""
    with ExitStack() as opened:
        others = [one for _ in range(8) for one in (*socket.socketpair(), *(os.fdopen(end, "rb") for end in os.pipe()))]
        for one in others:
            opened.enter_context(one)
        file = opened.enter_context((tmp_path / "file").open("w"))
        found = open_inodes()
        assert os.fstat(file.fileno()).st_ino in found
        assert not all(os.fstat(one.fileno()).st_ino in found for one in others)
