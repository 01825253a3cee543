"""Who may call: any thread, several at once, code within a running loop, a child that was forked, a process about to end."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from pinion_ipfs.backends.base import Receipt
from pinion_ipfs.backends.hf_cache import HfCache
from tests.support.blocking_backends import InMemory

MIB = 1024 * 1024


@pytest.fixture
def cache(tmp_path: Path) -> HfCache:
    return HfCache("cache", tmp_path / "cache")


def test_several_threads_at_once_and_each_has_its_own_receipts(cache: HfCache) -> None:
    def work(number: int) -> tuple[bytes, str]:
        cid = ipfs.add_bytes(b"%d" % number, backend=cache)
        data = ipfs.cat(cid, backend=cache)
        (receipt,) = ipfs.get_last_receipts()
        return data, receipt.cid

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(work, range(40)))
    assert [data for data, _ in found] == [b"%d" % number for number in range(40)]
    assert len({cid for _, cid in found}) == 40


async def test_the_synchronous_ones_within_a_running_loop(cache: HfCache) -> None:
    cid = ipfs.add_bytes(b"in a notebook", backend=cache)
    assert ipfs.cat(cid, backend=cache) == b"in a notebook"
    assert b"".join(ipfs.cat_stream(cid, backend=cache)) == b"in a notebook"


async def test_the_async_twins_leave_the_loop_free(cache: HfCache, tmp_path: Path) -> None:
    receipts: list[Receipt] = []
    deps = ipfs.RouterDeps(cache, receipts.append)
    data = bytes(2 * MIB + 1)
    cid = await aio.add_bytes(data, deps=deps)
    assert await aio.cat(cid, deps=deps) == data
    assert b"".join([piece async for piece in aio.cat_stream(cid, deps=deps)]) == data
    assert [(each.operation, each.backend) for each in receipts] == [
        ("add_bytes", "cache"),
        ("cat", "cache"),
        ("cat", "cache"),
    ]
    await aio.get_to_path(cid, output_path=tmp_path / "copy", deps=deps)
    assert (tmp_path / "copy").read_bytes() == data
    assert (await aio.get_backend(deps=deps)).name == "cache"


async def test_a_call_that_is_cancelled_is_cancelled_in_the_background() -> None:
    class Slow(InMemory):
        def block_get(self, cid: str) -> bytes:
            asked.set()
            released.wait()
            raise KeyError(cid)

    asked, released = threading.Event(), threading.Event()
    receipts: list[Receipt] = []
    cid = InMemory().add_bytes(b"x")
    task = asyncio.create_task(aio.cat(cid, deps=ipfs.RouterDeps(Slow(), receipts.append)))
    await asyncio.to_thread(asked.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()
    assert not await aio.has(cid, backend=InMemory())
    assert receipts == []


def test_on_the_loop_of_the_backends_a_function_would_wait_for_itself_and_says_so() -> None:
    class CallsBack(HfCache):
        async def has(self, cid: ipfs.Cid) -> bool:
            return ipfs.has(str(cid), backend=InMemory())

    with pytest.raises(RuntimeError, match="which would wait for itself"):
        ipfs.has(InMemory().add_bytes(b"x"), backend=CallsBack("calls back", Path("/none")))


def test_a_stream_is_brought_a_few_pieces_ahead_of_who_reads_it() -> None:
    class Counts(InMemory):
        def block_get(self, cid: str) -> bytes:
            asked.append(cid)
            return super().block_get(cid)

    asked: list[str] = []
    memory = Counts()
    cid = ipfs.add_bytes(bytes(20 * MIB), pin=False, backend=memory)
    asked.clear()
    stream = ipfs.cat_stream(cid, backend=memory)
    for read in range(1, 6):
        next(stream)
        assert len(asked) <= 1 + read + 4  # the root; two that wait, one on its way there, one that was just taken
    assert sum(map(len, stream)) == 15 * MIB


def test_every_function_has_an_async_twin() -> None:
    from pinion_ipfs.functions import blocking

    own = {name for name, value in vars(blocking).items() if getattr(value, "__module__", "") == blocking.__name__}
    assert own <= set(aio.__all__)
    assert own <= set(ipfs.__all__)
    assert own <= set(dir(ipfs.SelectedBackend))


def run(script: str, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


FORKED = """
import os, sys
import pinion_ipfs as ipfs
cache = ipfs.HfCache("cache", __import__("pathlib").Path(sys.argv[1]))
cid = ipfs.add_bytes(b"before", backend=cache)
child = os.fork()
if not child:
    assert ipfs.cat(cid, backend=cache) == b"before"
    ipfs.add_bytes(b"in the child", backend=cache)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert ipfs.cat(cid, backend=cache) == b"before"
print(len(ipfs.pin_ls(backend=cache)))
"""


def test_a_child_that_is_forked_has_a_loop_of_its_own_and_leaves_the_parents_alone(tmp_path: Path) -> None:
    assert run(FORKED, tmp_path) == "2\n"


ENDED = """
import contextlib, sys, threading
import pinion_ipfs as ipfs

class Hangs:
    def block_get(self, cid):
        asked.set()
        threading.Event().wait()

def wait_for_ever():
    with contextlib.suppress(BaseException):
        ipfs.cat("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", backend=Hangs())

asked = threading.Event()
threading.Thread(target=wait_for_ever, daemon=True).start()
asked.wait()
cache = ipfs.HfCache("cache", __import__("pathlib").Path(sys.argv[1]))
cid = ipfs.add_bytes(bytes(5_000_000), backend=cache)
stream = ipfs.cat_stream(cid, backend=cache)
print(len(next(stream)))
"""


def test_a_process_ends_whatever_hangs_or_is_half_read(tmp_path: Path) -> None:
    assert run(ENDED, tmp_path) == "1048576\n"
