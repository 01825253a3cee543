"""What is kept of trees goes with them, counts while it is there, and does not outlive their files."""

import os
import time
from pathlib import Path

import pytest

from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import Collection, collect
from pinion_ipfs.store.tree_records import FileRecord, TreeRecords
from pinion_ipfs.store.trees import StoredTree, store_files
from tests.support.collecting import collecting


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "hf")
    store.prepare()
    return store


def put(store: Store, name: str, files: dict[str, bytes]) -> StoredTree:
    """Lay a tree out as a fetch by its CID does, a minute ago."""
    places = {path: store.hf_home / f"{name}-{path}" for path in files}
    for path, data in files.items():
        places[path].write_bytes(data)
    stored = store_files(store, places)
    records = TreeRecords(store, name * 64)
    records.put_nodes(dict(stored.tree.nodes), root=stored.cid)
    for file in stored.manifest.files:
        records.put_file(Cid.of_block(RAW, file.sha256.encode()), FileRecord(file.sha256, file.hub.size, {}))
    return stored


def left(store: Store) -> list[str]:
    return sorted(path.name for path in (store.side / "trees").iterdir())


def now(store: Store, *, dry_run: bool = False, idle_seconds: float = 0.0) -> Collection:
    return collect(store, idle_seconds=idle_seconds, dry_run=dry_run)


def name_of(stored: StoredTree) -> str:
    return f"{stored.manifest.repo}@{stored.manifest.commit}"


def test_records_go_with_their_tree_and_count(store: Store) -> None:
    stored = put(store, "a", {"weights": b"weights", "config.json": b"{}"})
    size = sum((store.side / "trees" / name).stat().st_size for name in left(store))
    assert len(left(store)) == 3
    told = now(store, dry_run=True)
    assert len(left(store)) == 3
    done = now(store)
    assert (done.removed, done.freed, done.used) == ((name_of(stored),), told.freed, told.used)
    assert done.used == done.freed > size
    assert left(store) == []


def test_the_record_of_a_file_that_another_tree_has_stays_with_that(store: Store) -> None:
    gone = put(store, "a", {"weights": b"weights", "config.json": b"{}"})
    kept = put(store, "b", {"weights": b"weights"})
    (store.side / "cid-pins").mkdir()
    (store.side / "cid-pins" / str(kept.cid)).touch()
    assert now(store).removed == (name_of(gone),)
    assert left(store) == sorted(["b" * 64 + ".nodes", f"{Cid.of_block(RAW, kept.manifest.files[0].sha256.encode())}.nodes"])


def test_what_two_trees_share_goes_with_the_second(store: Store) -> None:
    put(store, "a", {"weights": b"weights", "config.json": b"{}"})
    put(store, "b", {"weights": b"weights"})
    told, done = now(store, dry_run=True), now(store)
    assert (len(done.removed), done.freed) == (2, told.freed)
    assert (done.used - done.freed, left(store)) == (0, [])


def test_records_that_outlived_their_tree_go(store: Store) -> None:
    stored = put(store, "a", {"weights": b"weights"})
    repository = store.cache_dir / stored.manifest.repo.folder
    for path in (*(repository / "snapshots").rglob("*"), *(repository / "blobs").iterdir()):
        if not path.is_dir():
            path.unlink()
    (stored.path).rmdir()
    (store.side / "manifests" / f"{stored.manifest_cid}.json").unlink()
    names = left(store)
    assert now(store, idle_seconds=60.0).removed == ()
    with store.uses.of_repository(stored.manifest.repo.folder):
        done = now(store)
        assert [each.name for each in done.kept] == ["a" * 64 + ".nodes"]
        assert (left(store), len(done.removed)) == (["a" * 64 + ".nodes"], 1)
    assert now(store).removed == ("a" * 64 + ".nodes",)
    assert (len(names), left(store)) == (2, [])


def test_records_of_a_tree_that_is_laid_out_meanwhile_stay(store: Store) -> None:
    stored = put(store, "a", {"weights": b"weights"})
    repository = store.cache_dir / stored.manifest.repo.folder
    away = store.hf_home / "away"
    manifest = store.side / "manifests" / f"{stored.manifest_cid}.json"
    other = put(store, "b", {"other": b"other"})
    names = [name for name in left(store) if name.startswith("a") or stored.manifest.files[0].sha256 in record(store, name)]
    data = manifest.read_bytes()
    manifest.unlink()
    repository.rename(away)
    with collecting(store, other.manifest.repo.folder) as running:
        away.rename(repository)
        manifest.write_bytes(data)
    assert running.result().removed == (name_of(other),)
    assert (len(names), left(store)) == (2, names)


def record(store: Store, name: str) -> str:
    return (store.side / "trees" / name).read_bytes().decode(errors="replace")


def test_a_file_that_was_brought_and_is_of_no_tree_yet_keeps_its_record(store: Store) -> None:
    stored = put(store, "a", {"weights": b"weights"})
    (store.side / "manifests" / f"{stored.manifest_cid}.json").unlink()
    before = time.time() - 3600
    for name in left(store):
        os.utime(store.side / "trees" / name, (before, before))
    assert (now(store).removed, len(left(store))) == ((), 2)
