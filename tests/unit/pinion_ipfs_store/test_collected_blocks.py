"""Single blocks of a store: what a collection leaves below a pin."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.cid import DAG_PB, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import Collection, collect
from pinion_ipfs.store.files import write_atomically

DIRECTORY = b"\x08\x01"
LEAF = b"a leaf"


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
