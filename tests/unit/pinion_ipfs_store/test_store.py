import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from pinion_ipfs.content.unixfs import layout_file, layout_tree
from pinion_ipfs.errors import DigestMismatch, StoreCorrupted, StoreInaccessible
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.store import BlobRecord, PinRecord, Store
from pinion_ipfs.store.blobs import hash_blob

REPO = RepoId.parse("org/name")
COMMIT = Commit.parse("c" * 40)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "hf")
    store.prepare()
    return store


def make_hub_file(path: str, data: bytes, *, lfs: bool = False) -> HubFile:
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return HubFile(path, len(data), oid, hashlib.sha256(data).hexdigest() if lfs else None)


def put(store: Store, path: str, data: bytes, *, lfs: bool = False) -> HubFile:
    file = make_hub_file(path, data, lfs=lfs)
    staged = store.staging / "incoming"
    staged.write_bytes(data)
    store.publish(REPO, file, staged, hash_blob(staged, file, "a test"))
    return file


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 2 * 1024 * 1024 + 5])
@pytest.mark.parametrize("lfs", [True, False])
def test_hash_blob_gives_layout_and_sha256(tmp_path: Path, size: int, lfs: bool) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    record = hash_blob(path, make_hub_file("file", data, lfs=lfs), "a test")
    assert record.layout == layout_file(path)
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert BlobRecord.decode(record.encode()) == record


@pytest.mark.parametrize("lfs", [True, False])
def test_hash_blob_refuses_another_file(tmp_path: Path, lfs: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"wrong")
    kind = "sha256" if lfs else "git blob id"
    with pytest.raises(DigestMismatch, match=f"file from a test: {kind} is .*, the hub announced"):
        hash_blob(path, make_hub_file("file", b"right", lfs=lfs), "a test")
    with pytest.raises(DigestMismatch, match="5 bytes, the hub announced 4"):
        hash_blob(path, make_hub_file("file", b"four", lfs=lfs), "a test")


def test_a_damaged_sidecar_means_that_the_blob_is_not_known(store: Store) -> None:
    file = put(store, "f", b"x" * 3_000_000)
    assert store.record(REPO, file) is not None
    sidecar = store.sidecar(REPO, file)
    data = bytearray(sidecar.read_bytes())
    data[-1] ^= 1
    sidecar.write_bytes(data)
    assert store.record(REPO, file) is None
    hashed_anew = store.adopt(REPO, file)
    assert hashed_anew is not None
    assert store.record(REPO, file) == hashed_anew, "and kept"


def test_adopt_takes_a_right_blob_of_another_program_and_removes_a_wrong_one(store: Store) -> None:
    right, wrong = make_hub_file("right", b"right"), make_hub_file("wrong", b"wrong")
    for file, data in ((right, b"right"), (wrong, b"w0ong")):
        store.blob(REPO, file).parent.mkdir(parents=True, exist_ok=True)
        store.blob(REPO, file).write_bytes(data)
    record = store.adopt(REPO, right)
    assert record is not None
    assert store.record(REPO, right) == record
    assert store.adopt(REPO, wrong) is None
    assert not store.blob(REPO, wrong).exists()


def test_snapshot_links_are_relative_and_refs_stay_inside(store: Store) -> None:
    files = [put(store, "config.json", b"{}"), put(store, "a/b/c.txt", b"deep")]
    folder = store.link_snapshot(REPO, COMMIT, files, "main")
    assert (folder / "a/b/c.txt").read_bytes() == b"deep"
    assert str((folder / "a/b/c.txt").readlink()).startswith("../../../../blobs/")
    refs = store.cache_dir / REPO.folder / "refs"
    assert (refs / "main").read_text() == str(COMMIT)
    store.link_snapshot(REPO, COMMIT, files, "../../escape")
    store.link_snapshot(REPO, COMMIT, files, "refs/pr/1")
    assert not (store.cache_dir / "escape").exists()
    assert (refs / "refs/pr/1").read_text() == str(COMMIT)


def test_names_that_differ_little_are_both_kept(store: Store) -> None:
    files = [put(store, path, path.encode()) for path in ("docs/file", "docs/file.", "README.md", "readme.md")]
    folder = store.link_snapshot(REPO, COMMIT, files)
    assert {file.path: (folder / file.path).read_text() for file in files} == {file.path: file.path for file in files}


def test_names_that_a_filesystem_folds_into_one_are_refused(store: Store) -> None:
    """Where names are folded `docs` and `Docs` are one folder; a link makes them one here."""
    files = [put(store, "Docs/file", b"one"), put(store, "docs/file", b"other")]
    folder = store.snapshot_path(REPO, COMMIT)
    (folder / "docs").mkdir(parents=True)
    (folder / "Docs").symlink_to("docs")
    with pytest.raises(StoreInaccessible, match="org/name: Docs/file and docs/file are one name"):
        store.link_snapshot(REPO, COMMIT, files, "main")
    assert not (folder / "docs/file").exists()
    assert not (store.cache_dir / REPO.folder / "refs").exists()


def test_a_flipped_bit_is_found_and_taken_out_with_its_links(store: Store) -> None:
    good, bad = put(store, "good", b"g" * 2_000_000), put(store, "bad", b"b" * 2_000_000, lfs=True)
    folder = store.link_snapshot(REPO, COMMIT, [good, bad])
    store.verify_blobs(REPO, [good, bad])
    with store.blob(REPO, bad).open("r+b") as stream:
        stream.seek(1_500_000)
        stream.write(b"B")
    with pytest.raises(StoreCorrupted, match="bad") as caught:
        store.verify_blobs(REPO, [good, bad])
    assert caught.value.paths == ("bad",)
    assert caught.value.retryable
    assert store.record(REPO, bad) is None
    assert sorted(path.name for path in folder.iterdir()) == ["good"]
    store.verify_blobs(REPO, [good])


def test_manifests_are_kept_under_their_cid_and_a_wrong_one_is_not_given(store: Store) -> None:
    file = put(store, "f", b"data")
    record = store.record(REPO, file)
    assert record is not None
    tree = layout_tree({"f": record.layout})
    manifest = Manifest(REPO, COMMIT, tree.root, (ManifestFile(file, record.sha256, record.layout.cid),))
    cid = store.put_manifest(manifest)
    assert store.get_manifest(cid) == manifest
    assert list(store.manifests()) == [(cid, manifest)]
    (path,) = (store.side / "manifests").iterdir()
    path.write_bytes(path.read_bytes() + b" ")
    assert store.get_manifest(cid) is None


@pytest.mark.parametrize("owner", ["local", "8a6f/1", "../../x", "", ".", "ü"])
def test_pins_have_an_owner_and_a_ref(store: Store, owner: str) -> None:
    file = put(store, "f", b"data")
    record = store.record(REPO, file)
    assert record is not None
    pin = PinRecord(owner, record.layout.cid, record.layout.cid, REPO, COMMIT, ("kubo",))
    store.pin(pin)
    assert store.pins.get(owner) == pin
    assert store.pins.all() == [pin]
    refs = store.cache_dir / REPO.folder / "refs"
    (ref,) = (refs / "pinion").iterdir()
    assert ref.read_text() == str(COMMIT)
    assert [path.name for path in refs.iterdir()] == ["pinion"]
    store.unpin(owner)
    assert store.pins.all() == []
    assert not ref.exists()


def test_leftovers_are_swept_only_by_who_is_alone(store: Store) -> None:
    leftover = store.staging / "origin" / "blob.1234.incomplete"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    with store.staging_session():
        assert not leftover.exists()
        leftover.write_bytes(b"half")
        with store.staging_session():
            assert leftover.exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), asyncio.CancelledError(), OSError("the disk")], ids=repr)
def test_who_is_interrupted_takes_away_what_was_half_written(store: Store, end: BaseException) -> None:
    leftover = store.staging / "origin" / "blob.1234.incomplete"
    leftover.parent.mkdir()

    def work() -> None:
        with store.staging_session():
            leftover.write_bytes(b"half")
            raise end

    with pytest.raises(type(end)):
        work()
    assert not leftover.exists()
    with store.staging_session():
        with pytest.raises(type(end)):
            work()
        assert leftover.exists(), "somebody else is at work there"


def test_a_name_that_a_filesystem_does_not_take_leaves_no_half_snapshot(store: Store) -> None:
    files = [put(store, "config.json", b"{}"), put(store, "n" * 255, b"long"), put(store, "x" * 256, b"too long")]
    with pytest.raises(StoreInaccessible, match=r"org/name: .*longer than this filesystem takes"):
        store.link_snapshot(REPO, COMMIT, files, "main")
    assert not store.snapshot_path(REPO, COMMIT).exists()
    assert not (store.cache_dir / REPO.folder / "refs").exists()
    folder = store.link_snapshot(REPO, COMMIT, files[:1])
    with pytest.raises(StoreInaccessible, match="longer than this filesystem takes"):
        store.link_snapshot(REPO, COMMIT, files)
    assert [path.name for path in folder.iterdir()] == ["config.json"], "what was added is taken away"
    assert [path.name for path in folder.parent.parent.iterdir() if path.name.startswith(".")] == []


def test_a_long_branch_is_a_ref(store: Store) -> None:
    file = put(store, "f", b"data")
    store.link_snapshot(REPO, COMMIT, [file], "b" * 250)
    assert (store.cache_dir / REPO.folder / "refs" / ("b" * 250)).read_text() == str(COMMIT)
