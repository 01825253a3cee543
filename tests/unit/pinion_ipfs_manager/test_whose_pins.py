"""Which pins the manager gives up: all that it made, wherever the model was stored by and by, and none that it found."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from tests.support.blocking_backends import InMemory


@dataclass(frozen=True)
class World:
    home: Path
    folder: Path
    one: ipfs.HfCache
    two: ipfs.HfCache

    def manager(self, *backends: object) -> ipfs.ModelManager:
        return ipfs.ModelManager(self.home, backend=list(backends))


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_bytes(b"{}")
    one, two = (ipfs.HfCache(name, tmp_path / name) for name in ("one", "two"))
    return World(tmp_path / "home", tmp_path / "mine", one, two)


def pins(backend: ipfs.HfCache, stored: ipfs.StoredModel) -> set[str]:
    return {stored.cid, stored.manifest_cid} & set(ipfs.pin_ls(backend=backend))


def test_what_was_stored_in_one_then_in_another_is_given_up_in_both(world: World) -> None:
    world.manager(world.one).add_model_with_ipfs_storage(world.folder, name="mine")
    stored = world.manager(world.two).store_model_to_ipfs(world.folder)
    assert (stored.backends, stored.name) == (("one", "two"), "mine")
    assert world.manager(world.one, world.two).remove("mine").unpinned == ("one", "two")
    assert pins(world.one, stored) == pins(world.two, stored) == set()


def test_a_backend_that_is_seen_to_have_lost_the_pin_and_fails_is_listed_no_more(world: World) -> None:
    class Full(InMemory):
        """Takes no pins from some moment on."""

        full = False

        def pin(self, cid: str) -> None:
            if self.full:
                raise RuntimeError("full")
            super().pin(cid)

    kept = Full()
    first = world.manager(kept).store_model_to_ipfs(world.folder)
    assert first.backends == ("Full",)
    kept.pins.clear()
    kept.full = True
    assert world.manager(kept, world.one).store_model_to_ipfs(world.folder).backends == ("one",)


def test_a_pin_that_was_there_before_stays(world: World) -> None:
    cid = ipfs.add_path(world.folder, backend=world.one)
    for _ in range(2):  # to store again does not make it the manager's
        stored = world.manager(world.one, world.two).store_model_to_ipfs(world.folder)
    assert (stored.cid, stored.backends) == (cid, ("one", "two"))
    removed = world.manager(world.one, world.two).remove(cid)
    assert (removed.unpinned, removed.found_pinned) == (("two",), ("one",))
    assert (pins(world.one, stored), pins(world.two, stored)) == ({cid}, set())


def test_what_is_stored_once_more_after_a_removal_is_looked_at_anew(world: World) -> None:
    cid = ipfs.add_path(world.folder, backend=world.one)
    manager = world.manager(world.one)
    manager.store_model_to_ipfs(world.folder)
    manager.remove(cid)
    ipfs.unpin(cid, backend=world.one)
    stored = manager.store_model_to_ipfs(world.folder)
    assert manager.remove(cid).unpinned == ("one",)
    assert pins(world.one, stored) == set()


def test_a_removal_that_fails_in_part_says_what_is_gone_and_lists_what_is_left(world: World) -> None:
    both = world.manager(world.one, world.two)
    stored = both.store_model_to_ipfs(world.folder)
    with pytest.raises(ipfs.PinFailed, match=r"still pinned: two: not among .*; given up in one"):
        world.manager(world.one).remove(stored.cid)
    assert pins(world.one, stored) == set()
    assert [model.backends for model in both.list()] == [("two",)]
    assert both.remove(stored.cid).unpinned == ("two",)
    assert pins(world.two, stored) == set()
