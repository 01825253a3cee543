"""Files of one's own in the store, as a tree that no hub's repository names."""

import os
import threading
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.errors import InsufficientStorage, StoreInaccessible, UnreadableSource
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.manifest import Manifest
from pinion_ipfs.hub.trees import tree_commit, tree_repo, tree_root
from pinion_ipfs.store import PinRecord, Store
from pinion_ipfs.store.offline import find_commit, list_whole
from pinion_ipfs.store.trees import StoredTree, copy_hashing, store_files

FILES = {
    "config.json": b"{}",
    "model.safetensors": os.urandom(3 << 20),
    "tokenizer.json": b"[]",
    "1_Pooling/config.json": b"{}",  # the bytes of another file
    "empty": b"",
}
ROOT = Cid.parse("bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(data)
    return tmp_path / "mine"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "hf")


@pytest.fixture
def places(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in FILES}


@pytest.fixture
def stored(store: Store, places: dict[str, Path]) -> StoredTree:
    return store_files(store, places)


def leftovers(store: Store) -> list[Path]:
    return [path for path in store.hf_home.rglob("*.partial") if path.exists()]


def test_the_names_go_both_ways() -> None:
    repo, commit = tree_repo(ROOT), tree_commit(ROOT)
    assert (str(repo), str(commit)) == (f"ipfs/{ROOT}", ROOT.digest.hex()[:40])
    assert tree_root(repo, commit) == tree_root(repo) == ROOT


def test_one_block_has_one_name_in_whichever_version_its_cid_is_written() -> None:
    text = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
    assert tree_root(tree_repo(Cid.parse(text))) == Cid.parse(text)
    assert tree_root(RepoId.parse(f"ipfs/{text}")) is None


@pytest.mark.parametrize(
    ("repo", "commit"),
    [("ipfs/name", "a" * 40), (f"org/{ROOT}", "a" * 40), (str(ROOT), "a" * 40), (f"ipfs/{ROOT}", "a" * 40), ("gpt2", "a" * 40)],
)
def test_what_is_no_tree_has_no_root(repo: str, commit: str) -> None:
    assert tree_root(RepoId.parse(repo), Commit.parse(commit)) is None


def test_a_folder_has_the_cid_that_it_has_anywhere(stored: StoredTree, folder: Path) -> None:
    assert stored.cid == layout_directory(folder).root
    assert {
        path.relative_to(stored.path).as_posix(): path.read_bytes() for path in stored.path.rglob("*") if path.is_file()
    } == (FILES)


def test_what_becomes_of_the_source_does_not_matter(stored: StoredTree, store: Store, folder: Path) -> None:
    (folder / "config.json").write_bytes(b"[]")
    (folder / "model.safetensors").unlink()
    store.verify_blobs(stored.manifest.repo, [file.hub for file in stored.manifest.files])
    assert (stored.path / "config.json").read_bytes() == b"{}"
    assert leftovers(store) == []


def test_it_is_whole_without_asking_anybody(stored: StoredTree, store: Store) -> None:
    other = Store(store.hf_home)
    repo = tree_repo(stored.cid)
    assert find_commit(other, repo, "main") == tree_commit(stored.cid)
    listing = list_whole(other, repo, tree_commit(stored.cid))
    assert (listing.unconfirmed, listing.files) == ("", stored.manifest.listing.files)
    assert all(other.record(repo, file) for file in listing.files), "nothing has to be hashed again"


def test_the_hub_s_own_library_finds_it(stored: StoredTree, store: Store) -> None:
    found = snapshot_download(f"ipfs/{stored.cid}", cache_dir=store.cache_dir, local_files_only=True)
    assert Path(found) == stored.path
    cache = scan_cache_dir(store.cache_dir)
    assert (cache.warnings, [repo.repo_id for repo in cache.repos]) == ([], [f"ipfs/{stored.cid}"])


def test_it_is_pinned_as_any_snapshot(stored: StoredTree, store: Store) -> None:
    record = PinRecord("me", stored.cid, stored.manifest_cid, stored.manifest.repo, stored.manifest.commit)
    store.pin(record)
    assert store.pins.all() == [record]
    store.unpin("me")
    assert store.pins.all() == []


async def test_its_blocks_are_there_by_cid(stored: StoredTree, store: Store) -> None:
    cache = HfCache("hf_cache", store)
    stat = await cache.stat(stored.cid)
    assert stat.size > sum(map(len, FILES.values())) - 2  # one file twice
    assert await cache.block_get(stored.manifest_cid) == stored.manifest.encode()


def test_its_manifest_names_no_repository_and_is_read_again(stored: StoredTree, store: Store) -> None:
    data = stored.manifest.encode()
    assert data.startswith(b'{"commit":null,')
    assert b'"repo":null' in data
    assert Manifest.decode(data) == stored.manifest
    assert Store(store.hf_home).get_manifest(stored.manifest_cid) == stored.manifest


def test_the_same_tree_again_repairs_what_was_damaged(stored: StoredTree, store: Store, places: dict[str, Path]) -> None:
    blob = stored.files["model.safetensors"]
    blob.chmod(0o644)
    blob.write_bytes(bytes(3 << 20))
    again = store_files(store, places)
    assert (again.cid, again.manifest_cid, again.path) == (stored.cid, stored.manifest_cid, stored.path)
    store.verify_blobs(again.manifest.repo, [file.hub for file in again.manifest.files])
    assert leftovers(store) == []


def test_a_file_that_changes_meanwhile_is_refused_and_nothing_is_left(store: Store, places: dict[str, Path]) -> None:
    def change(count: int) -> None:
        with places["model.safetensors"].open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(UnreadableSource, match=r"model\.safetensors: changed while it was copied"):
        store_files(store, {"model.safetensors": places["model.safetensors"]}, change)
    assert not list(store.cache_dir.glob("models--*"))
    assert leftovers(store) == []


def test_a_file_that_is_gone_is_named(store: Store, places: dict[str, Path]) -> None:
    places["tokenizer.json"].unlink()
    with pytest.raises(UnreadableSource, match=r"tokenizer\.json: No such file"):
        store_files(store, places)


def test_more_than_there_is_room_for_is_refused_with_both_numbers(store: Store, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 43)
    with pytest.raises(InsufficientStorage, match="8796093022208"):
        store_files(store, {"sparse": tmp_path / "sparse"})


def test_a_store_that_cannot_be_written_says_so(places: dict[str, Path]) -> None:
    with pytest.raises(StoreInaccessible, match="/proc/no-such: "):
        store_files(Store(Path("/proc/no-such")), places)


def test_nothing_is_copied_once_another_file_has_failed(places: dict[str, Path], tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(UnreadableSource):
        copy_hashing(places["model.safetensors"], tmp_path / "copy", lambda count: None, stop)
    assert (tmp_path / "copy").stat().st_size in (0, 3 << 20)  # 3 MiB: a filesystem that shares bytes
