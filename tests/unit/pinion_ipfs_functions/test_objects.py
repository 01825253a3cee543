"""Objects with blocking methods as backends: used, checked, found out, passed over; and backends of others that are async."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from pinion_ipfs.backends.base import Capability
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import BackendUnavailable, StorageFilled
from pinion_ipfs.functions.checked import Checked
from pinion_ipfs.functions.synchronous import Synchronous
from tests.support.blocking_backends import LIARS, WRONG_READS, InMemory

DATA = b"what is right"


def test_all_of_the_functions_work_on_one(tmp_path: Path) -> None:
    memory = InMemory()
    (tmp_path / "model/below").mkdir(parents=True)
    (tmp_path / "model/a.bin").write_bytes(bytes(2_500_000))
    (tmp_path / "model/below/b").write_bytes(b"b")
    cid = ipfs.add_path(tmp_path / "model", backend=memory)
    assert cid == str(ipfs.Cid.parse(cid))
    assert ipfs.ls(cid, backend=memory) == ["a.bin", "below"]
    assert ipfs.pin_ls(backend=memory) == [cid] == sorted(memory.pins)
    assert ipfs.stat(cid, backend=memory).blocks == 6
    ipfs.get_to_path(cid, output_path=tmp_path / "copy", backend=memory)
    assert (tmp_path / "copy/a.bin").read_bytes() == bytes(2_500_000)
    ipfs.unpin(cid, backend=memory)
    ipfs.unpin(cid, backend=memory)
    assert memory.pins == set()


def test_it_is_called_in_a_thread_that_is_not_the_callers() -> None:
    memory = InMemory()
    ipfs.add_bytes(DATA, backend=memory)
    assert threading.get_ident() not in memory.threads


@pytest.mark.parametrize(("make", "told"), LIARS.values(), ids=LIARS.keys())
def test_one_that_takes_and_lies_is_named_and_passed_over(make: Callable[[], InMemory], told: str) -> None:
    good = InMemory()
    cid = ipfs.add_bytes(DATA, backend=[make(), good])
    assert good.blocks == {cid: DATA}
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.backend, receipt.degraded) == ("InMemory", True)
    assert told in receipt.attempts[0].error
    with pytest.raises(BackendUnavailable, match="add_bytes"):
        ipfs.add_bytes(DATA, backend=make())


@pytest.mark.parametrize(("make", "kind"), WRONG_READS.values(), ids=WRONG_READS.keys())
def test_one_that_gives_other_bytes_is_found_out_and_another_read(make: Callable[[], InMemory], kind: str) -> None:
    bad, good = make(), InMemory()
    cid = good.add_bytes(DATA)
    if kind == "BlockMismatch":
        bad.add_bytes(DATA)
    for call in (ipfs.cat, ipfs.block_get):
        assert call(cid, backend=[bad, good]) == DATA
        (receipt,) = ipfs.get_last_receipts()
        assert [attempt.kind for attempt in receipt.attempts] == [kind]


def test_one_that_hangs_ends_its_call_and_not_the_process() -> None:
    class Hangs(InMemory):
        def block_get(self, cid: str) -> bytes:
            released.wait()
            return b""

    released = threading.Event()
    good = InMemory()
    cid = good.add_bytes(DATA)
    hanging = Synchronous("hanging", Hangs(), timeout=0.05)
    assert ipfs.cat(cid, backend=[WithDeadline(hanging), good]) == DATA
    assert "no answer within 0.05 s" in ipfs.get_last_receipts()[0].attempts[0].error
    released.set()


class WithDeadline:
    """A backend of somebody else's that is async: another object's calls with a shorter deadline."""

    name = "hanging"

    def __init__(self, inner: Synchronous) -> None:
        self._inner = inner
        self.capabilities = inner.capabilities

    async def block_get(self, cid: Cid) -> bytes:
        return await self._inner.block_get(cid)


def test_an_async_one_is_checked_too(tmp_path: Path) -> None:
    class Async:
        name = "async"
        capabilities = frozenset({Capability.READ})

        async def block_get(self, cid: Cid) -> bytes:
            return b"other bytes"

    cid = ipfs.add_bytes(DATA, backend=HfCache("cache", tmp_path))
    with pytest.raises(ipfs.BackendUnavailable, match="expected"):
        ipfs.cat(cid, backend=Async())
    assert ipfs.cat(cid, backend=[Async(), HfCache("cache", tmp_path)]) == DATA
    asyncio.run(Checked(Async()).close())  # it has no such method, and nothing breaks


def test_where_one_is_full_another_takes_it() -> None:
    class Full(InMemory):
        def block_put(self, data: bytes, *, codec: str = "raw") -> str:
            raise StorageFilled("full", needed_bytes=2, available_bytes=1)

    good = InMemory()
    for data in (DATA, bytes(3_000_000)):
        cid = ipfs.add_bytes(data, backend=[Full(), good])
        assert ipfs.cat(cid, backend=good) == data
    with pytest.raises(StorageFilled, match="needs 2 bytes, 1 are available"):
        ipfs.add_bytes(DATA, backend=Full())


def test_what_an_object_lacks_is_not_asked_of_it() -> None:
    class ReadsOnly:
        backend_name = "reads only"

        def cat(self, cid: str) -> bytes:
            return DATA

    good = InMemory()
    cid = ipfs.add_bytes(DATA, backend=[ReadsOnly(), good])
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.backend, receipt.preferred, receipt.attempts) == ("InMemory", "InMemory", ())
    assert ipfs.cat(cid, backend=ReadsOnly()) == DATA
    with pytest.raises(BackendUnavailable, match="no backend can do this"):
        ipfs.pin(cid, backend=ReadsOnly())


async def test_eight_calls_of_one_object_at_once_and_no_more() -> None:
    class Counts(InMemory):
        def block_get(self, cid: str) -> bytes:
            with lock:
                now.append(cid)
                most.append(len(now))
            together.wait(60)
            with lock:
                now.remove(cid)
            return super().block_get(cid)

    lock, together = threading.Lock(), threading.Barrier(8)
    now: list[str] = []
    most: list[int] = []
    memory = Counts()
    cids = [memory.add_bytes(b"%d" % number) for number in range(16)]
    found = await asyncio.gather(*(aio.block_get(cid, backend=memory) for cid in cids))
    assert found == [b"%d" % number for number in range(16)]
    assert max(most) == 8
