"""Single blocks of a store: how large they may be, and what a collection leaves below a pin."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend, CarSource
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.car import car_size, car_stream
from pinion_ipfs.content.car_reader import MAX_BLOCK
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs import layout_files, layout_tree
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.errors import ContentError
from pinion_ipfs.fetching.pinning import pin_in
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import Collection, collect
from pinion_ipfs.store.files import write_atomically
from pinion_ipfs.store.trees import store_files
from pinion_ipfs.threads import in_thread
from tests.support.collecting import collecting
from tests.support.hub_files import make_hub_file

DIRECTORY = b"\x08\x01"
LEAF = b"a leaf"
MIB = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "hf")
    store.prepare()
    return store


def now(store: Store) -> Collection:
    return collect(store, idle_seconds=0.0)


def inline_directory(leaf: Cid) -> Cid:
    return Cid(DAG_PB, encode_node([Link(leaf, "leaf", len(LEAF))], DIRECTORY), identity=True)


def inline_interior_node(leaf: Cid) -> Cid:
    return Cid(DAG_PB, encode_node([Link(leaf, "", len(LEAF))], encode_file_data([len(LEAF)])), identity=True)


@pytest.mark.parametrize("make", [inline_directory, inline_interior_node])
@pytest.mark.parametrize("above", [True, False])
async def test_what_lies_below_a_node_within_its_cid_is_pinned_with_it(
    store: Store, make: Callable[[Cid], Cid], above: bool
) -> None:
    cache = HfCache("cache", store)
    leaf = await cache.add_bytes(LEAF, pin=False)
    stray = await cache.add_bytes(b"nobody's", pin=False)
    root = make(leaf)
    if above:
        root = await cache.block_put(encode_node([Link(root, "inline", len(LEAF))], DIRECTORY), codec=DAG_PB)
    await cache.pin(root)
    assert now(store).removed == (str(stray),)
    assert (await cache.stat(root)).blocks == 2 + above


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(encode_node([], DIRECTORY))])
async def test_below_a_pinned_node_that_cannot_be_read_may_be_any_block(store: Store, damage: Callable[[Path], object]) -> None:
    cache = HfCache("cache", store)
    leaf = await cache.add_bytes(LEAF, pin=False)
    root = await cache.block_put(encode_node([Link(leaf, "leaf", len(LEAF))], DIRECTORY), codec=DAG_PB)
    await cache.pin(root)
    damage(store.side / "blocks" / str(root))
    done = now(store)
    assert done.removed == ()
    assert ("single blocks", f"{root} is pinned and can't be read: they may be below it") in [
        (each.name, each.reason) for each in done.kept
    ]
    write_atomically(store.side / "blocks" / str(root), encode_node([Link(leaf, "leaf", len(LEAF))], DIRECTORY))
    await cache.unpin(root)
    assert set(now(store).removed) == {str(root), str(leaf)}


async def test_a_probe_and_a_block_wait_for_no_whole_collection(store: Store) -> None:
    cache = HfCache("cache", store)
    again, stray = await cache.add_bytes(LEAF, pin=False), await cache.add_bytes(b"nobody's", pin=False)
    (store.hf_home / "file").write_bytes(b"file")
    stored = store_files(store, {"file": store.hf_home / "file"})
    with collecting(store, stored.manifest.repo.folder) as running:
        async with asyncio.timeout(60):
            assert (await cache.probe()).usable
            assert await cache.add_bytes(LEAF, pin=False) == again
    assert str(stray) in running.result().removed
    assert await cache.block_get(again) == LEAF


async def test_a_block_waits_while_one_is_removed(store: Store) -> None:
    cache = HfCache("cache", store)
    with store.uses.alone_with_blocks() as alone:
        assert alone
        putting = asyncio.create_task(cache.block_put(LEAF, codec=RAW))
        assert await asyncio.wait([putting], timeout=0.2) == (set(), {putting})
    assert await cache.block_get(await putting) == LEAF


async def test_what_is_brought_block_by_block_stays_until_it_is_pinned(store: Store) -> None:
    cache = HfCache("cache", store)
    leaf = Cid.of_block(RAW, LEAF)
    node = encode_node([Link(leaf, "leaf", len(LEAF))], DIRECTORY)
    manifest = manifest_of(Cid.of_block(DAG_PB, node), {})

    async def bring(backend: Backend) -> int:
        await backend.block_put(LEAF, codec=RAW)
        assert now(store).removed == ()
        await backend.block_put(node, codec=DAG_PB)
        assert now(store).removed == ()
        return len(LEAF + node)

    pin = await pin_in(cache, Cid.of_block(DAG_PB, node), bring, manifest.cid, manifest.encode(), lambda receipt: None)
    assert (pin.pinned, pin.error) == (True, "")
    assert now(store).removed == ()
    assert (await cache.stat(leaf)).blocks == 1


async def test_a_snapshot_stays_from_its_import_until_it_is_pinned(store: Store, tmp_path: Path) -> None:
    cache = HfCache("cache", store)
    (tmp_path / "leaf").write_bytes(LEAF)
    layout = layout_files([tmp_path / "leaf"])[0]
    tree = layout_tree({"leaf": layout})
    car = CarSource(tree, car_size(tree), lambda: in_thread(lambda: car_stream(tree, lambda _: (tmp_path / "leaf").open("rb"))))
    manifest = manifest_of(tree.root, {"leaf": LEAF})

    async def bring(backend: Backend) -> int:
        done = await backend.dag_import(car)
        assert now(store).removed == ()
        return done

    pin = await pin_in(cache, tree.root, bring, manifest.cid, manifest.encode(), lambda receipt: None)
    assert (pin.pinned, pin.error) == (True, "")


def manifest_of(root: Cid, files: dict[str, bytes]) -> Manifest:
    entries = tuple(
        ManifestFile(make_hub_file(path, data, lfs=True), hashlib.sha256(data).hexdigest(), Cid.of_block(RAW, data))
        for path, data in files.items()
    )
    return Manifest(RepoId.parse("org/one"), Commit.parse("a" * 40), root, entries)


@pytest.mark.parametrize(("size", "codec"), [(MAX_BLOCK, RAW), (MAX_BLOCK, DAG_PB), (MIB + 14, DAG_PB)])
async def test_a_block_may_be_as_large_as_those_that_nodes_exchange(store: Store, size: int, codec: int) -> None:
    cache = HfCache("cache", store)
    block = bytes(size)
    assert await cache.block_get(await cache.block_put(block, codec=codec)) == block
    with pytest.raises(ContentError, match="2097153 bytes are more than one block of 2097152"):
        await cache.block_put(bytes(MAX_BLOCK + 1), codec=codec)


async def test_a_file_of_more_than_a_leaf_is_no_block(store: Store) -> None:
    cache = HfCache("cache", store)
    assert await cache.add_bytes(bytes(MIB)) == Cid.of_block(RAW, bytes(MIB))
    with pytest.raises(ContentError, match="1048577 bytes are more than one block of 1048576"):
        await cache.add_bytes(bytes(MIB + 1))
