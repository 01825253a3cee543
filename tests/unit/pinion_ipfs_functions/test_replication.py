"""Pins in several backends: as many as are wanted, a line for each in the receipt; what was pinned is told when it fails."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from pinion_ipfs.backends.base import Receipt
from pinion_ipfs.errors import BackendUnavailable
from tests.support.blocking_backends import Down, InMemory
from tests.support.cars import make_car

FILES = {"a.bin": os.urandom(1_100_000), "below/b.txt": b"b"}


@pytest.fixture
def caches(tmp_path: Path) -> list[ipfs.HfCache]:
    return [ipfs.HfCache(name, tmp_path / name) for name in ("one", "two", "three")]


def where(cid: str, backends: list[ipfs.HfCache]) -> list[str]:
    return [backend.name for backend in backends if cid in ipfs.pin_ls(backend=backend)]


def written(tmp_path: Path, name: str = "model") -> Path:
    for path, data in FILES.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_bytes(data)
    return tmp_path / name


WRITES: dict[str, Callable[[Any, Path], str]] = {
    "add_bytes": lambda how, path: ipfs.add_bytes(b"small", **how),
    "add_bytes of many blocks": lambda how, path: ipfs.add_bytes(bytes(1_100_000), **how),
    "add_path": lambda how, path: ipfs.add_path(written(path), **how),
    "dag_import": lambda how, path: ipfs.dag_import(make_car(FILES)[1], **how),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_what_is_written_is_pinned_in_as_many_as_are_wanted(
    write: Callable[[Any, Path], str], caches: list[ipfs.HfCache], tmp_path: Path
) -> None:
    dead = ipfs.KuboRpc("dead", "http://127.0.0.1:9")
    cid = write({"backend": [dead, *caches], "replication": "1..2"}, tmp_path)
    (receipt,) = ipfs.get_last_receipts()
    assert [(each.backend, each.done) for each in receipt.replicas] == [("dead", False), ("one", True), ("two", True)]
    assert "dead (http://127.0.0.1:9/" in receipt.replicas[0].error
    assert (receipt.backend, receipt.degraded, receipt.succeeded) == ("one, two", True, True)
    assert where(cid, caches) == ["one", "two"]


def test_without_a_setting_it_is_one(caches: list[ipfs.HfCache]) -> None:
    cid = ipfs.add_bytes(b"data", backend=caches)
    (receipt,) = ipfs.get_last_receipts()
    assert [(each.backend, each.error) for each in receipt.replicas] == [("one", "")]
    assert not receipt.degraded
    assert where(cid, caches) == ["one"]
    ipfs.pin(cid, backend=caches)
    assert where(cid, caches) == ["one"]


def test_a_pin_goes_to_those_that_have_it_then_to_others_that_get_a_copy(caches: list[ipfs.HfCache]) -> None:
    cid = ipfs.dag_import(make_car(FILES)[1], backend=caches[1], pin=False)
    ipfs.pin(cid, backend=caches, replication=2)
    (receipt,) = ipfs.get_last_receipts()
    assert [(each.backend, each.done) for each in receipt.replicas] == [
        ("one", True),
        ("two", True),
        ("three", False),
    ]
    assert where(cid, caches) == ["one", "two"]
    assert ipfs.dag_export(cid, backend=caches[0]) == make_car(FILES)[1]
    with pytest.raises(ipfs.ContentMissing):
        ipfs.pin(str(ipfs.Cid.of_block(0x55, b"nobody has it")), backend=caches, replication=2)


def test_fewer_than_wanted_is_an_error_that_tells_what_each_said_and_what_stays(caches: list[ipfs.HfCache]) -> None:
    down = Down()
    with pytest.raises(ipfs.ReplicationFailed) as caught:
        ipfs.add_bytes(b"data", backend=[caches[0], down], replication=2)
    assert caught.value.pinned_in == ("one",)
    told = str(caught.value)
    assert "1 of at least 2 backends: pinned in one, where it stays; Down: add_bytes raises RuntimeError: no daemon" in told
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.succeeded, receipt.error) == (False, told)
    assert [each.done for each in receipt.replicas] == [True, False]
    assert ipfs.pin_ls(backend=caches[0]) == [str(ipfs.Cid.of_block(0x55, b"data"))]
    with pytest.raises(BackendUnavailable, match="no daemon"):
        ipfs.add_bytes(b"data", backend=[down, Down()], replication=2)


def test_more_than_there_are_is_refused_before_anything_is_done(caches: list[ipfs.HfCache]) -> None:
    with pytest.raises(ipfs.ReplicationFailed, match="at least 4 backends are wanted, and one, two, three can do it"):
        ipfs.add_bytes(b"data", backend=caches, replication=(4, 5))
    assert [ipfs.pin_ls(backend=cache) for cache in caches] == [[], [], []]


async def test_the_argument_goes_before_deps_and_these_before_the_variable(
    caches: list[ipfs.HfCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts: list[Receipt] = []
    deps = ipfs.RouterDeps(caches, receipts.append, replication=2)
    monkeypatch.setenv("IPFS_REPLICATION", "3")
    await aio.add_bytes(b"argument", replication=1, deps=deps)
    await aio.add_bytes(b"deps", deps=deps)
    await aio.add_bytes(b"variable", deps=ipfs.RouterDeps(caches, receipts.append))
    monkeypatch.setenv("IPFS_REPLICATION", "")
    await aio.add_bytes(b"empty is unset", deps=ipfs.RouterDeps(caches, receipts.append))
    assert [len(each.replicas) for each in receipts] == [1, 2, 3, 1]


def test_what_is_not_pinned_has_one_place_and_a_chosen_backend_is_one(
    caches: list[ipfs.HfCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPFS_REPLICATION", "2")
    cid = ipfs.add_bytes(b"data", pin=False, backend=caches)
    assert [ipfs.has(cid, backend=cache) for cache in caches] == [True, False, False]
    assert ipfs.get_backend(backend=caches).add_bytes(b"other")


@pytest.mark.parametrize("wrong", [0, -1, 17, True, "2..1", "many", (1, 2, 3), (2, 1), "1..", 1.5])
def test_what_is_no_number_of_backends(wrong: object) -> None:
    with pytest.raises(ipfs.UsageError, match="replication: a number of backends from 1 to 16"):
        ipfs.add_bytes(b"data", backend=InMemory(), replication=cast(Any, wrong))


def test_what_is_no_number_in_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_REPLICATION", "all")
    with pytest.raises(ipfs.UsageError, match="IPFS_REPLICATION: a number of backends"):
        ipfs.pin("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", backend=InMemory())


ONE_PLACE: dict[str, Callable[[ipfs.HfCache, Path], list[object]]] = {
    "the same object": lambda cache, path: [cache, cache],
    "the same folder": lambda cache, path: [cache, ipfs.HfCache("another name", path / "one")],
    "the same folder by a link": lambda cache, path: [cache, ipfs.HfCache("linked", linked(path))],
    "the same name": lambda cache, path: ["hf_cache", "hf_cache"],
    "the same API": lambda cache, path: [
        ipfs.KuboRpc(name, f"http://127.0.0.1:9{end}") for name, end in (("a", ""), ("b", "/"))
    ],
    "the same repository": lambda cache, path: [ipfs.KuboCli(name, repository=path / "repo") for name in ("a", "b")],
}


def linked(path: Path) -> Path:
    (path / "link").symlink_to(path / "one")
    return path / "link"


@pytest.mark.parametrize("make", ONE_PLACE.values(), ids=ONE_PLACE.keys())
def test_one_place_that_is_named_twice_is_one_copy(
    make: Callable[[ipfs.HfCache, Path], list[object]], caches: list[ipfs.HfCache], tmp_path: Path
) -> None:
    with pytest.raises(
        ipfs.ReplicationFailed, match=r"at least 2 backends are wanted, and [^ ]+ can do it|which are one place"
    ):
        ipfs.add_bytes(b"data", backend=make(caches[0], tmp_path), replication=2)


def test_of_one_place_and_another_both_get_a_copy(caches: list[ipfs.HfCache], tmp_path: Path) -> None:
    again = ipfs.HfCache("again", tmp_path / "one")
    cid = ipfs.add_bytes(b"data", backend=[caches[0], again, caches[1]], replication=2)
    (receipt,) = ipfs.get_last_receipts()
    assert [(each.backend, each.done) for each in receipt.replicas] == [("one", True), ("two", True)]
    ipfs.pin(cid, backend=[caches[0], again, caches[2]], replication=2)
    (receipt,) = ipfs.get_last_receipts()
    assert [(each.backend, each.done) for each in receipt.replicas] == [("one", True), ("three", True)]


def test_what_a_backend_without_pins_takes_is_no_replica() -> None:
    given = ReadsAndAdds()
    ipfs.add_bytes(b"data", backend=given)
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.backend, receipt.replicas) == ("ReadsAndAdds", ())
    with pytest.raises(ipfs.ReplicationFailed, match="at least 2 backends"):
        ipfs.add_bytes(b"data", backend=[given, InMemory()], replication=2)


class ReadsAndAdds:
    """Has no pins."""

    def __init__(self) -> None:
        self._kept = InMemory()

    def add_bytes(self, data: bytes, *, pin: bool = True) -> str:
        return self._kept.block_put(data)

    def block_get(self, cid: str) -> bytes:
        return self._kept.block_get(cid)


class Dies(InMemory):
    """Gives a block so often, then no more; its own pin takes two."""

    left = 2

    def block_put(self, data: bytes, *, codec: str = "raw") -> str:
        if not self.left:
            raise RuntimeError("the source has died")
        return super().block_put(data, codec=codec)

    def block_get(self, cid: str) -> bytes:
        if not self.left:
            raise RuntimeError("the source has died")
        self.left -= 1
        return super().block_get(cid)


@pytest.mark.parametrize("reads", [2, 3], ids=["before the import", "during the import"])
def test_a_source_that_dies_during_a_copy_is_named_and_not_the_target(caches: list[ipfs.HfCache], reads: int) -> None:
    source, target = Dies(), caches[0]
    cid, source.left = source.add_bytes(b"data", pin=False), reads
    with pytest.raises(ipfs.ReplicationFailed, match=r"the source of the copy: .*the source has died"):
        ipfs.pin(cid, backend=[source, target], replication=2)
    (receipt,) = [each for each in ipfs.get_last_receipts() if each.replicas]
    assert [(each.backend, each.kind) for each in receipt.attempts] == [("one", "ContentMissing"), ("one", "SourceFailed")]
    for _ in range(9):
        source.left = reads
        with pytest.raises(ipfs.ContentError):
            ipfs.pin(cid, backend=[source, target], replication=2)
    ipfs.add_bytes(b"other", backend=[source, target])  # the target's circuit is closed
    assert ipfs.get_last_receipts()[0].backend == "one"
