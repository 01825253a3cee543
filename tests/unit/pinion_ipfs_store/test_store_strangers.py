"""A store in a place where other users can write too: nothing is believed because it is there."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinion_ipfs.content.unixfs import layout_file, layout_tree
from pinion_ipfs.errors import StoreCorrupted, StoreInaccessible
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.store import BlobRecord, PinRecord, Store
from pinion_ipfs.store.blobs import hash_blob
from pinion_ipfs.store.files import make_folders
from tests.support.volumes import as_user

REPO = RepoId.parse("org/name")
COMMIT = Commit.parse("c" * 40)
US, STRANGER, GROUP = 65532, 1001, 4711
GOOD, EVIL = b"good" * 300_000, b"evil" * 300_000  # more than one leaf


@pytest.fixture
def open_store(shared_folder: Path, tmp_path: Path) -> Iterator[Store]:
    """Yield a store of ours, made while everybody could write to all of it, as earlier releases made it below /tmp."""
    shared_folder.chmod(0o1777)
    store = Store(shared_folder / "hf")
    with as_user(US):
        store.prepare()
        store.blob(REPO, hub_file("x", b"")).parent.mkdir(parents=True)
        for folder in (store.hf_home, *store.hf_home.rglob("*")):
            folder.chmod(0o1777)
        yield store


def hub_file(path: str, data: bytes, *, lfs: bool = True) -> HubFile:
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return HubFile(path, len(data), oid, hashlib.sha256(data).hexdigest() if lfs else None)


def plant(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a stranger's file somewhere."""
    with as_user(STRANGER, umask=0):
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir()
        path.write_bytes(data)
        path.chmod(mode)


def record_of(data: bytes, tmp_path: Path) -> BlobRecord:
    with as_user(0):
        path = tmp_path / "plain"
        path.write_bytes(data)
        return hash_blob(path, hub_file("plain", data), "a test")


def put(store: Store, file: HubFile, data: bytes) -> None:
    staged = store.staging / "incoming"
    staged.write_bytes(data)
    store.publish(REPO, file, staged, hash_blob(staged, file, "a test"))


def manifest_of(file: HubFile, record: BlobRecord) -> Manifest:
    root = layout_tree({file.path: record.layout}).root
    return Manifest(REPO, COMMIT, root, (ManifestFile(file, record.sha256, record.layout.cid),))


@pytest.mark.parametrize(
    ("above", "made"),
    [
        (0o755, 0o755),
        (0o700, 0o700),
        (0o1777, 0o755),
        (0o777, 0o755),
        (0o775, 0o755),
        (0o2755, 0o2755),
        (0o2775, 0o2775),
        (0o2770, 0o2770),
        (0o2777, 0o2775),
        (0o3777, 0o2775),
    ],
)
def test_folders_are_never_open_to_others_and_to_the_group_where_the_volume_is_its(
    shared_folder: Path, above: int, made: int
) -> None:
    shared_folder.chmod(above)
    make_folders(shared_folder / "a/b")
    modes = [stat.S_IMODE((shared_folder / path).stat().st_mode) for path in ("a", "a/b")]
    assert [oct(mode) for mode in modes] == [oct(made)] * 2


@pytest.mark.parametrize(("above", "made"), [(0o755, 0o644), (0o1777, 0o644), (0o2775, 0o664)])
def test_what_we_write_is_never_others_to_write_whatever_the_umask(shared_folder: Path, above: int, made: int) -> None:
    shared_folder.chmod(above)
    with as_user(0, umask=0):
        store, file = Store(shared_folder / "hf"), hub_file("f", b"data")
        store.prepare()
        put(store, file, b"data")
        store.put_manifest(manifest_of(file, hash_blob(store.blob(REPO, file), file, "a test")))
        store.link_snapshot(REPO, COMMIT, [file], "main")
    files = {path: path.lstat().st_mode for path in shared_folder.rglob("*") if not path.is_symlink()}
    records = [store.sidecar(REPO, file), *(store.side / "manifests").iterdir(), store.cache_dir / REPO.folder / "refs/main"]
    assert {oct(stat.S_IMODE(files[path])) for path in records} == {oct(made)}
    assert not [path for path, mode in files.items() if mode & 0o002]


@pytest.mark.parametrize("lfs", [True, False])
def test_a_planted_blob_with_a_sidecar_made_for_it_is_taken_out(open_store: Store, tmp_path: Path, lfs: bool) -> None:
    file = hub_file("model.safetensors", GOOD, lfs=lfs)
    plant(open_store.blob(REPO, file), EVIL)
    plant(open_store.sidecar(REPO, file), record_of(EVIL, tmp_path).encode())
    assert open_store.record(REPO, file) is None
    assert open_store.adopt(REPO, file) is None
    assert not open_store.blob(REPO, file).exists()


def test_a_right_blob_of_a_stranger_is_replaced_by_our_copy(open_store: Store) -> None:
    file = hub_file("model.safetensors", GOOD)
    blob = open_store.blob(REPO, file)
    plant(blob, GOOD)
    with as_user(STRANGER):
        held = os.open(blob, os.O_RDWR)
    assert open_store.adopt(REPO, file) is not None
    os.pwrite(held, b"E", 0)
    os.close(held)
    assert blob.read_bytes() == GOOD
    assert blob.stat().st_uid == US
    assert open_store.record(REPO, file) is not None


@pytest.mark.parametrize("kind", ["hard link", "symbolic link", "pipe", "device"])
def test_what_else_a_stranger_may_put_in_a_blobs_place(open_store: Store, shared_folder: Path, kind: str) -> None:
    file = hub_file("model.safetensors", GOOD)
    blob, own = open_store.blob(REPO, file), shared_folder / "stranger's"
    plant(own, GOOD)
    with as_user(0):
        make: dict[str, Callable[[], None]] = {
            "hard link": lambda: os.link(own, blob),
            "symbolic link": lambda: blob.symlink_to(own),
            "pipe": lambda: os.mkfifo(blob),
            "device": lambda: os.mknod(blob, 0o666 | stat.S_IFCHR, os.makedev(1, 5)),
        }
        make[kind]()
        os.lchown(blob, STRANGER, STRANGER)
    linked = kind.endswith("link")
    record = open_store.adopt(REPO, file)
    assert (record is not None) is linked
    plant(own, EVIL)  # what the link leads to is no longer what was hashed
    assert not linked or blob.read_bytes() == GOOD


def test_a_strangers_link_in_a_snapshot_that_all_can_write_is_replaced(shared_folder: Path) -> None:
    """It leads to the right blob now; whose it is can make it lead elsewhere later."""
    store, file = Store(shared_folder / "hf"), hub_file("model.safetensors", GOOD)
    store.prepare()
    put(store, file, GOOD)
    link = store.link_snapshot(REPO, COMMIT, [file]) / file.path
    os.lchown(link, STRANGER, STRANGER)
    link.parent.chmod(0o777)
    store.link_snapshot(REPO, COMMIT, [file])
    assert link.lstat().st_uid == 0
    assert link.resolve() == store.blob(REPO, file).resolve()


def test_a_strangers_folder_in_a_blobs_place_is_named(open_store: Store) -> None:
    file = hub_file("model.safetensors", GOOD)
    with as_user(STRANGER):
        open_store.blob(REPO, file).mkdir()
    with pytest.raises(StoreInaccessible, match=rf"{file.etag} is not model\.safetensors, and user {US} can't take it away"):
        open_store.adopt(REPO, file)


def test_a_blob_that_is_swapped_after_the_check_is_found(shared_folder: Path) -> None:
    """On a volume that a group shares everybody of it can do that; what they do is looked at."""
    os.chown(shared_folder, 0, GROUP)
    shared_folder.chmod(0o2775)
    store, file = Store(shared_folder / "hf"), hub_file("model.safetensors", GOOD)
    with as_user(STRANGER, groups=(GROUP,)):
        store.prepare()
        put(store, file, GOOD)
    with as_user(US, groups=(GROUP,)):
        reader = Store(shared_folder / "hf")
        assert reader.record(REPO, file) is None, "a sidecar of somebody else stands for nothing"
        assert reader.adopt(REPO, file) is not None
        assert reader.record(REPO, file) is not None, "hashed once"
    with as_user(STRANGER, groups=(GROUP,)):
        store.blob(REPO, file).unlink()
        store.blob(REPO, file).write_bytes(EVIL)
    with as_user(US, groups=(GROUP,)):
        assert reader.record(REPO, file) is None
        with pytest.raises(StoreCorrupted, match=r"model\.safetensors \(block 0\)"):
            reader.verify_blobs(REPO, [file])
        assert not store.blob(REPO, file).exists()


def test_a_swap_that_keeps_size_and_times_is_found(open_store: Store) -> None:
    file = hub_file("model.safetensors", GOOD)
    blob = open_store.blob(REPO, file)
    open_store.hf_home.chmod(0o777)  # others may rename what is below: nothing there is guarded
    blob.write_bytes(GOOD)
    os.utime(blob, ns=(1, 1))
    assert open_store.adopt(REPO, file) is not None
    before = blob.stat().st_ctime_ns
    while blob.stat().st_ctime_ns == before:  # some kernels count it in steps of 10 ms
        blob.write_bytes(EVIL)
        os.utime(blob, ns=(1, 1))
    assert open_store.record(REPO, file) is None
    assert open_store.adopt(REPO, file) is None


def test_a_strangers_manifest_is_found_by_its_cid_alone(open_store: Store, tmp_path: Path) -> None:
    manifest = manifest_of(hub_file("model.safetensors", EVIL), record_of(EVIL, tmp_path))
    path = open_store.side / "manifests" / f"{manifest.cid}.json"
    with as_user(STRANGER):
        path.parent.mkdir()
        path.write_bytes(manifest.encode())
    with pytest.raises(StoreInaccessible, match=f"manifests belongs to user {STRANGER}"):
        open_store.put_manifest(manifest)
    with as_user(0):
        os.chown(path.parent, US, US)
        path.parent.chmod(0o1777)
    assert list(open_store.manifests()) == []
    assert list(open_store.manifests(of_anybody=True)) == [(manifest.cid, manifest)]
    assert open_store.get_manifest(manifest.cid) == manifest


def test_records_of_others_count_in_a_folder_that_only_we_can_write(open_store: Store, tmp_path: Path) -> None:
    manifest = manifest_of(hub_file("f", GOOD), record_of(GOOD, tmp_path))
    open_store.secure(open_store.side / "manifests")
    open_store.put_manifest(manifest)
    with as_user(0):
        os.chown(open_store.side / "manifests" / f"{manifest.cid}.json", STRANGER, STRANGER)
    assert [cid for cid, _ in open_store.manifests()] == [manifest.cid]


def test_a_strangers_pin_is_none(open_store: Store, tmp_path: Path) -> None:
    cid = record_of(EVIL, tmp_path).layout.cid
    pin = PinRecord("theirs", cid, cid, REPO, COMMIT)
    folder = open_store.side / "pins"
    folder.mkdir()
    folder.chmod(0o1777)
    plant(folder / "theirs.json", pin.encode())
    assert open_store.pins.all() == []
    ours = PinRecord("ours", cid, cid, REPO, COMMIT)
    open_store.pin(ours)
    assert open_store.pins.all() == [ours]
    os.link(folder / "ours.json", folder / "other.json")
    assert open_store.pins.all() == [ours], "a record under another's name"


def test_folders_that_were_open_are_closed_and_cleared(open_store: Store) -> None:
    manifests = open_store.side / "manifests"
    manifests.mkdir()
    manifests.chmod(0o1777)
    plant(manifests / "x.json", b"{}")
    open_store.secure(manifests)
    assert stat.S_IMODE(open_store.side.stat().st_mode) == 0o755
    assert stat.S_IMODE(manifests.stat().st_mode) == 0o755
    assert list(manifests.iterdir()) == []


def test_a_cache_that_its_owner_opened_stays_open_and_its_blobs_are_hashed(shared_folder: Path) -> None:
    """As on machines whose users share one: who made it said so."""
    store, file = Store(shared_folder / "hf"), hub_file("model.safetensors", GOOD)
    store.prepare()
    put(store, file, GOOD)
    folder = store.blob(REPO, file).parent
    folder.chmod(0o777)
    assert store.record(REPO, file) is not None, "hashed by this process"
    other = Store(shared_folder / "hf")
    assert other.record(REPO, file) is None
    assert other.adopt(REPO, file) is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777


@pytest.mark.parametrize(
    "place", ["hub/models--org--name", "hub/models--org--name/blobs", "pinion/sidecars", "hub/models--org--name/snapshots"]
)
@pytest.mark.parametrize("kind", ["symbolic link", "folder"])
def test_a_folder_that_a_stranger_put_there_is_refused_and_nothing_is_written_to_it(
    open_store: Store, shared_folder: Path, place: str, kind: str
) -> None:
    target, planted = shared_folder / "elsewhere", open_store.hf_home / place
    with as_user(STRANGER, umask=0):
        target.mkdir()
    with as_user(0):
        if planted.is_dir():
            planted.rename(shared_folder / "before")
        if kind == "folder":
            target.rename(planted)
        else:
            planted.symlink_to(target)
            os.lchown(planted, STRANGER, STRANGER)
    file = hub_file("a/model.safetensors", GOOD)

    refused = ""
    try:
        open_store.prepare()
        put(open_store, file, GOOD)
        open_store.link_snapshot(REPO, COMMIT, [file])
    except StoreInaccessible as error:
        refused = str(error)
    if kind == "folder":
        assert f"{place} belongs to user {STRANGER}, who put it into a folder of somebody else" in refused
    else:
        assert refused or not planted.is_symlink(), "a link may be taken away just so"
    assert list((planted if kind == "folder" else target).iterdir()) == []


def test_a_home_that_a_stranger_made_in_a_folder_of_everybody_is_refused(shared_folder: Path) -> None:
    shared_folder.chmod(0o1777)
    with as_user(STRANGER):
        (shared_folder / "hf").mkdir()
    with as_user(US), pytest.raises(StoreInaccessible, match=f"hf belongs to user {STRANGER}"):
        Store(shared_folder / "hf").prepare()


def test_a_cache_of_another_user_that_was_chosen_is_read_and_hashed(shared_folder: Path) -> None:
    """An administrator's cache, or a user's own in a container that root runs."""
    file = hub_file("model.safetensors", GOOD)
    (shared_folder / "hf").mkdir()
    os.chown(shared_folder / "hf", STRANGER, STRANGER)
    with as_user(STRANGER):
        theirs = Store(shared_folder / "hf")
        theirs.prepare()
        put(theirs, file, GOOD)
    for user in (0, US):
        with as_user(user):
            store = Store(shared_folder / "hf")
            assert store.record(REPO, file) is None
            record = store.adopt(REPO, file)
            assert record is not None
            assert record.layout == layout_file(store.blob(REPO, file))
    assert theirs.blob(REPO, file).stat().st_uid == STRANGER
