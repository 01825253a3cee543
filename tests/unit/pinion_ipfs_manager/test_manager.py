"""Models in a store and its backends: stored, found, lost, retrieved, given up; two machines share one backend."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.store.pins import PinRecord
from tests.support.blocking_backends import InMemory
from tests.support.cars import car_of, directory, node

FILES = {
    "config.json": b"{}",
    "model.safetensors": os.urandom(3 << 20),
    "tokenizer.json": b"[]",
    "1_Pooling/config.json": b"{}",
}
NOBODY = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class World:
    """A folder with a model, a manager on this machine, and one on another; a shared backend is all that both have."""

    tmp: Path
    folder: Path
    here: ipfs.ModelManager
    there: ipfs.ModelManager
    shared: HfCache

    @property
    def home(self) -> Path:
        return self.tmp / "here"


@pytest.fixture
def world(tmp_path: Path) -> World:
    shared = HfCache("shared", tmp_path / "shared")
    here = ipfs.ModelManager(tmp_path / "here", backend=shared)
    there = ipfs.ModelManager(tmp_path / "there", backend=shared)
    return World(tmp_path, write(tmp_path / "mine", FILES), here, there, shared)


def lose(home: Path) -> None:
    """Delete the models of a store, and leave its records."""
    for repository in (home / "hub").glob("models--*"):
        shutil.rmtree(repository)


def test_a_folder_is_stored_pinned_and_told(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    assert stored.cid == str(layout_directory(world.folder).root)
    assert (stored.repo, stored.files, stored.size_bytes) == (
        f"ipfs/{stored.cid}",
        tuple(sorted(FILES)),
        sum(map(len, FILES.values())),
    )
    assert (stored.backends, stored.whole, [pin.pinned for pin in stored.pins]) == (("shared",), True, [True])
    assert [(receipt.operation, receipt.backend, receipt.cid) for receipt in stored.receipts] == [("pin", "shared", stored.cid)]
    assert {stored.cid, stored.manifest_cid} <= set(ipfs.pin_ls(backend=world.shared))


def test_what_is_stored_is_loaded_offline_by_the_hub_s_library(world: World) -> None:
    stored = world.here.store_model_to_ipfs(str(world.folder))
    found = snapshot_download(stored.repo, cache_dir=world.home / "hub", local_files_only=True)
    assert Path(found) == stored.path
    assert read(stored.path) == FILES


def test_a_cache_that_is_a_backend_holds_it_so_too(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    found = snapshot_download(stored.repo, cache_dir=world.tmp / "shared/hub", local_files_only=True)
    assert read(Path(found)) == FILES


def test_a_file_is_stored_as_the_folder_that_holds_it(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder / "model.safetensors")
    assert stored.files == ("model.safetensors",)
    assert stored.cid == str(layout_directory(write(world.tmp / "one", {"model.safetensors": FILES["model.safetensors"]})).root)


def test_patterns_choose_among_a_folder_s_files(world: World) -> None:
    assert world.here.store_model_to_ipfs(world.folder, allow_patterns=["*.json"]).files == (
        "1_Pooling/config.json",
        "config.json",
        "tokenizer.json",
    )
    with pytest.raises(ipfs.UsageError, match="is a file"):
        world.here.store_model_to_ipfs(world.folder / "config.json", ignore_patterns=["*"])
    with pytest.raises(TypeError, match="not one str"):
        world.here.store_model_to_ipfs(world.folder, allow_patterns="*.json")


def test_it_comes_from_the_store_without_asking_anybody(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    alone = ipfs.ModelManager(world.home, backend=InMemory())
    found = alone.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy")
    assert (found.served_by, found.files, found.size_bytes) == ("store", stored.files, stored.size_bytes)
    assert read(world.tmp / "copy") == FILES
    assert layout_directory(world.tmp / "copy").root == layout_directory(world.folder).root


def test_a_copy_that_was_lost_comes_from_a_backend(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    lose(world.home)
    assert not world.here.list()[0].whole
    found = world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy")
    assert (found.served_by, read(world.tmp / "copy")) == ("shared", FILES)
    assert [(receipt.operation, receipt.backend) for receipt in found.receipts] == [("retrieve", ""), ("get_to_path", "shared")]


def test_another_machine_has_it_through_the_shared_backend_with_its_manifest_or_without(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    assert world.there.list() == ()
    assert world.there.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy").served_by == "shared"
    bare = HfCache("bare", world.tmp / "bare")
    assert ipfs.add_path(world.folder, backend=bare) == stored.cid
    ipfs.ModelManager(world.tmp / "there", backend=bare).retrieve_model_from_ipfs(stored.cid, world.tmp / "again")
    assert read(world.tmp / "copy") == read(world.tmp / "again") == FILES


def test_what_was_damaged_in_the_store_is_never_laid_out(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    blob = (stored.path / "model.safetensors").resolve()
    blob.chmod(0o644)
    blob.write_bytes(bytes(3 << 20))
    alone = ipfs.ModelManager(world.home, backend=InMemory())
    with pytest.raises(ipfs.ContentMissing):
        alone.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy")
    assert not (world.tmp / "copy").exists()
    assert not blob.exists(), "it is taken out"
    assert world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy").served_by == "shared"
    assert read(world.tmp / "copy") == FILES


def test_of_two_places_in_the_store_one_that_is_whole_will_do(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    store = ipfs.Store(world.home)
    manifest = store.get_manifest(ipfs.Cid.parse(stored.manifest_cid))
    assert manifest is not None
    store.put_manifest(replace(manifest, repo=RepoId.parse("a/lost"), commit=Commit.parse("c" * 40)))
    store.put_manifest(replace(manifest, repo=RepoId.parse("z/lost"), commit=Commit.parse("d" * 40)))
    assert world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy").served_by == "store"


def test_a_target_is_empty_or_holds_the_model_or_is_refused(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    (world.tmp / "empty").mkdir()
    world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "empty")
    assert read(world.tmp / "empty") == FILES
    assert world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "empty").served_by == "target"
    write(world.tmp / "empty", {"config.json": b"[]"})
    with pytest.raises(FileExistsError, match=f"not {stored.cid}"):
        world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "empty")
    assert read(world.tmp / "empty") == FILES | {"config.json": b"[]"}


@pytest.mark.parametrize("single", [False, True], ids=["a folder", "a file"])
def test_a_target_that_holds_a_model_of_another_layout_is_left_as_it_is(world: World, single: bool) -> None:
    file = node(b"\x08\x02\x12\x02{}\x18\x02")  # as `ipfs add` makes it of a small file: its bytes lie in dag-pb
    root = file if single else directory(("config.json", file))
    cid = ipfs.dag_import(car_of(root[0], *dict.fromkeys((root, file))), backend=world.shared)
    target = world.tmp / "foreign"
    first = world.here.retrieve_model_from_ipfs(cid, target)
    again = world.here.retrieve_model_from_ipfs(cid, target)
    assert (first.served_by, again.served_by, again.files, again.size_bytes) == ("shared", "target", first.files, 2)
    (target if single else target / "config.json").write_bytes(b"[]")
    with pytest.raises(FileExistsError, match=f"not {cid}"):
        world.here.retrieve_model_from_ipfs(cid, target)
    nobody = ipfs.ModelManager(world.tmp / "nobody", backend=InMemory())
    with pytest.raises(FileExistsError, match=f"not {cid}"):
        nobody.retrieve_model_from_ipfs(cid, target)


@pytest.mark.parametrize("target", ["missing/below", "mine/config.json", "mine"])
def test_a_target_that_cannot_be_one_is_refused(world: World, target: str) -> None:
    before = sorted(path.name for path in world.tmp.iterdir())
    with pytest.raises((FileNotFoundError, FileExistsError), match=target.partition("/")[0]):
        world.here.retrieve_model_from_ipfs(NOBODY, world.tmp / target)
    assert sorted(path.name for path in world.tmp.iterdir()) == before


def test_what_nobody_has_is_told_and_nothing_is_left(world: World) -> None:
    with pytest.raises(ipfs.ContentMissing):
        world.here.retrieve_model_from_ipfs(NOBODY, world.tmp / "copy")
    assert sorted(path.name for path in world.tmp.iterdir() if path.name not in ("mine", "shared")) == []
    with pytest.raises(ipfs.InvalidCid):
        world.here.retrieve_model_from_ipfs("no-cid", world.tmp / "copy")


def test_a_model_is_kept_with_what_it_is_called_and_another_process_reads_it(world: World) -> None:
    added = world.here.add_model_with_ipfs_storage(
        world.folder, name="My model", tags=["tiny", "test"], metadata={"task": "embedding", "dims": [3]}
    )
    (found,) = ipfs.ModelManager(world.home, backend=world.shared).list()
    assert found == added
    assert (found.name, found.tags, found.metadata) == ("My model", ("tiny", "test"), {"task": "embedding", "dims": [3]})
    (record,) = (world.home / "pinion" / "pins").glob("*.json")
    assert json.loads(record.read_bytes())["note"]["name"] == "My model", "the store's own record: there is no other"
    again = world.here.store_model_to_ipfs(world.folder)
    assert again.name == "My model", "to store it once more says nothing new of it"
    assert world.here.add_model_with_ipfs_storage(world.folder, name="Other").tags == ()


def test_a_search_looks_at_repository_name_tags_and_cid(world: World) -> None:
    first = world.here.add_model_with_ipfs_storage(world.folder, name="Sentence encoder", tags=["Embedding"])
    second = world.here.add_model_with_ipfs_storage(world.folder / "tokenizer.json", name="tokenizer")

    def cids(text: str) -> set[str]:
        return {model.cid for model in world.here.search(text)}

    assert cids("ENCODER") == cids("embedding") == cids(first.cid[5:]) == {first.cid}
    assert cids("ipfs/") == cids("") == {first.cid, second.cid}
    assert cids("no such") == set()


def test_pins_of_others_are_listed_and_keep_what_is_removed(world: World) -> None:
    stored = world.here.add_model_with_ipfs_storage(world.folder, name="mine")
    store = ipfs.Store(world.home)
    (record,) = store.pins.all()
    store.pin(PinRecord("ns/deployment", record.cid, record.manifest_cid, record.repo, record.commit, ("shared",)))
    assert world.here.list()[0].owners == (f"models/{stored.cid}", "ns/deployment")
    removed = world.here.remove(stored.cid)
    assert (removed.unpinned, removed.kept_for) == ((), ("ns/deployment",))
    assert stored.cid in ipfs.pin_ls(backend=world.shared)
    assert [model.owners for model in world.here.list()] == [("ns/deployment",)]
    with pytest.raises(ipfs.ContentMissing, match="keeps no model"):
        world.here.remove(stored.cid)


def test_what_is_removed_is_pinned_nowhere_and_its_bytes_stay_as_it_says(world: World) -> None:
    stored = world.here.add_model_with_ipfs_storage(world.folder, name="mine")
    removed = world.here.remove("mine")
    assert (removed.cid, removed.unpinned, removed.bytes_until_collection) == (stored.cid, ("shared",), stored.size_bytes)
    assert "stay until garbage is collected" in str(removed)
    assert world.here.list() == ()
    assert not {stored.cid, stored.manifest_cid} & set(ipfs.pin_ls(backend=world.shared))
    assert world.here.retrieve_model_from_ipfs(stored.cid, world.tmp / "copy").served_by == "store"


def test_garbage_is_collected_once_a_model_is_removed_and_not_before(world: World) -> None:
    store = HfCache("store", world.home)
    kept = world.here.store_model_to_ipfs(world.folder)
    gone = world.here.add_model_with_ipfs_storage(world.folder / "model.safetensors", name="gone")
    world.here.remove("gone")
    (collected,) = ipfs.gc(backend=store, idle_seconds=0)
    assert collected.freed >= gone.size_bytes
    assert [each.partition("@")[0] for each in collected.removed] == [f"ipfs/{gone.cid}"]
    assert [model.cid for model in world.here.list() if model.whole] == [kept.cid]


def test_a_model_whose_pin_cannot_be_given_up_is_kept_unless_forced(world: World) -> None:
    stored = world.here.store_model_to_ipfs(world.folder)
    elsewhere = ipfs.ModelManager(world.home, backend=InMemory())
    with pytest.raises(ipfs.PinFailed, match="shared: not among the backends of this call"):
        elsewhere.remove(stored.cid)
    assert len(elsewhere.list()) == 1
    assert elsewhere.remove(stored.cid, force=True).still_pinned == ("shared",)
    assert elsewhere.list() == ()


def test_a_name_of_several_models_is_refused(world: World) -> None:
    for file in ("config.json", "tokenizer.json"):
        world.here.add_model_with_ipfs_storage(world.folder / file, name="same")
    with pytest.raises(ValueError, match="several models have the name 'same'"):
        world.here.remove("same")


def test_backends_of_which_none_takes_it_are_an_error(world: World) -> None:
    dead = ipfs.KuboRpc("dead", "http://127.0.0.1:9")
    with pytest.raises(ipfs.PinFailed, match="dead"):
        ipfs.ModelManager(world.home, backend=dead).store_model_to_ipfs(world.folder)
    assert world.here.list() == ()
    stored = ipfs.ModelManager(world.home, backend=[dead, world.shared]).store_model_to_ipfs(world.folder)
    assert (stored.backends, [(pin.backend, pin.pinned) for pin in stored.pins]) == (
        ("shared",),
        [("dead", False), ("shared", True)],
    )


def test_fewer_backends_than_are_wanted_are_an_error_and_what_they_keep_is_listed(world: World) -> None:
    other = HfCache("other", world.tmp / "other")
    manager = ipfs.ModelManager(world.home, deps=ipfs.RouterDeps([world.shared, other], replication=3))
    with pytest.raises(ipfs.ReplicationFailed, match="2 of at least 3 backends keep it"):
        manager.store_model_to_ipfs(world.folder)
    assert [model.backends for model in manager.list()] == [("shared", "other")]
    manager = ipfs.ModelManager(world.home, deps=ipfs.RouterDeps([world.shared, other], replication=2))
    assert manager.store_model_to_ipfs(world.folder).backends == ("shared", "other")


@pytest.mark.parametrize("value", ["0", "false", "no", "OFF"])
def test_where_it_is_switched_off_every_call_says_so_by_name(world: World, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ENABLE_IPFS_MODEL_STORAGE", value)
    manager = world.here
    for name, call in {
        "store_model_to_ipfs": lambda: manager.store_model_to_ipfs(world.folder),
        "add_model_with_ipfs_storage": lambda: manager.add_model_with_ipfs_storage(world.folder, name="a"),
        "retrieve_model_from_ipfs": lambda: manager.retrieve_model_from_ipfs(NOBODY, world.tmp / "copy"),
        "list": manager.list,
        "search": lambda: manager.search("a"),
        "remove": lambda: manager.remove(NOBODY),
    }.items():
        with pytest.raises(ipfs.ModelStorageDisabled, match=f"^{name}: ENABLE_IPFS_MODEL_STORAGE is '{value}'"):
            call()
    assert not world.home.exists()


@pytest.mark.parametrize("value", ["", "1", "true", "Yes", "on"])
def test_else_it_is_on(world: World, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ENABLE_IPFS_MODEL_STORAGE", value)
    assert world.here.list() == ()


def test_another_word_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_IPFS_MODEL_STORAGE", "maybe")
    with pytest.raises(ipfs.UsageError, match="ENABLE_IPFS_MODEL_STORAGE: one of 1, true"):
        world.here.list()


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"name": "a" * 201}, ValueError, "name: 200 printable"),
        ({"name": "a\n"}, ValueError, "printable"),
        ({"name": "a", "tags": "tag"}, TypeError, "not one str"),
        ({"name": "a", "tags": [1]}, TypeError, "a tag is a str"),
        ({"name": "a", "tags": list(map(str, range(101)))}, ValueError, "101 tags"),
        ({"name": "a", "metadata": {"a": "b" * 65536}}, ValueError, "more than 65536"),
        ({"name": "a", "metadata": {"a": object()}}, ValueError, "kept as JSON"),
        ({"name": "a", "metadata": {"a": float("nan")}}, ValueError, "kept as JSON"),
        ({"name": "a", "metadata": ["a"]}, TypeError, "a mapping"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_read(
    world: World, said: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        world.here.add_model_with_ipfs_storage(world.folder, **said)  # type: ignore[arg-type]  # what a caller may get wrong
    assert not world.home.exists()


@pytest.mark.parametrize("source", ["./no-such", "/no/such", "~/no-such-folder"])
def test_a_path_that_is_not_there_is_no_repository(world: World, source: str) -> None:
    with pytest.raises(FileNotFoundError):
        world.here.store_model_to_ipfs(source)


def test_what_is_for_a_repository_is_refused_for_a_path(world: World) -> None:
    with pytest.raises(ValueError, match="has none"):
        world.here.store_model_to_ipfs(world.folder, "main")
    with pytest.raises(ValueError, match="endpoint and token"):
        world.here.store_model_to_ipfs(world.folder, endpoint="http://127.0.0.1:9")


async def test_the_twins_on_a_loop_of_their_own(world: World) -> None:
    receipts: list[ipfs.Receipt] = []
    manager = aio.ModelManager(world.home, deps=ipfs.RouterDeps(world.shared, receipts.append))
    added = await manager.add_model_with_ipfs_storage(world.folder, name="mine")
    assert await manager.list() == await manager.search("MINE") == (added,)
    assert (await manager.store_model_to_ipfs(world.folder)).name == "mine"
    assert (await manager.retrieve_model_from_ipfs(added.cid, world.tmp / "copy")).served_by == "store"
    assert (await manager.remove("mine")).unpinned == ("shared",)
    assert [receipt.operation for receipt in receipts] == ["pin", "pin", "retrieve"]
