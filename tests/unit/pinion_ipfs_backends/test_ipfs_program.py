"""What calls itself `ipfs` and answers otherwise: each call ends with an error of ours, in time, and no process stays."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from pinion_ipfs.backends.child import TooMuch, run_child
from pinion_ipfs.backends.kubo_cli import KuboCli
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import BackendUnavailable, BlockMismatch, ContentMissing
from tests.support.processes import has_ended
from tests.support.waiting import wait_until

CID = Cid.of_block(RAW, b"x")


def kubo_of(folder: Path, script: str, timeout: float = 30) -> KuboCli:
    path = folder / "ipfs"
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{script}\nesac\n')
    path.chmod(0o755)
    return KuboCli("kubo_cli", str(path), timeout=timeout)


async def test_there_is_no_such_program() -> None:
    health = await KuboCli("kubo_cli", "/none/ipfs").probe()
    assert (health.usable, health.reason) == (False, "kubo_cli: there is no program '/none/ipfs'")


async def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    for seconds in (1, 10):  # longer when it was ended before it had begun
        kubo = kubo_of(tmp_path, f"*) sleep 1000 & echo $$ $! > {pids}; wait;;", timeout=seconds)
        with pytest.raises(BackendUnavailable, match=rf"kubo_cli \(ipfs block get\): no answer within {seconds} s"):
            await kubo.block_get(CID)
        if pids.read_text():
            break
    program, child = map(int, pids.read_text().split())
    for pid in (program, child):
        await asyncio.to_thread(wait_until, partial(has_ended, pid), f"{pid} is gone")


@pytest.mark.parametrize(
    "answer", ["", "echo '[]'", "echo '{}'", "echo null", "echo '{\"Hash\": 7}'", "echo '../../x'", "exit 3"]
)
async def test_answers_that_are_not_kubos(tmp_path: Path, answer: str) -> None:
    kubo = kubo_of(tmp_path, f"*) cat > /dev/null; {answer};;")
    for call in (kubo.version(), kubo.add_bytes(b"x"), kubo.block_put(b"x", codec=RAW), kubo.pin(CID)):
        with pytest.raises((BackendUnavailable, BlockMismatch)):
            await call
    assert not (await kubo.probe()).usable


async def test_other_bytes_are_named_and_too_many_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(BlockMismatch):
        await kubo_of(tmp_path, "*) printf y;;").block_get(CID)
    with pytest.raises(BackendUnavailable, match="it writes more than 2097152 bytes"):
        await kubo_of(tmp_path, "*) exec yes;;").block_get(CID)


async def test_its_complaint_is_told_in_one_line(tmp_path: Path) -> None:
    kubo = kubo_of(tmp_path, "*) printf 'usage\\nError: a thing\\nfailed' >&2; exit 1;;")
    with pytest.raises(BackendUnavailable) as caught:
        await kubo.block_get(CID)
    assert str(caught.value) == "kubo_cli (ipfs block get): a thing failed"
    with pytest.raises(ContentMissing):
        await kubo_of(tmp_path, "*) echo 'Error: block was not found locally' >&2; exit 1;;").block_get(CID)


async def test_a_repository_that_another_process_has_is_waited_for(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    tried = tmp_path / "tried"
    script = f"*) echo >> {tried}; if test -e {held}; then echo 'Error: someone else has the lock' >&2; exit 1; fi; printf x;;"
    call = asyncio.create_task(kubo_of(tmp_path, script).block_get(CID))
    await asyncio.to_thread(wait_until, lambda: tried.exists() and tried.stat().st_size > 1, "a second try")
    held.unlink()
    assert await call == b"x"
    held.touch()
    for seconds in (4, 15):  # longer when its last try was not over in time
        with pytest.raises(BackendUnavailable) as raised:
            await kubo_of(tmp_path, script, timeout=seconds).block_get(CID)
        if "no answer within" not in str(raised.value):
            break
    assert "another process works on the repository, and there is no daemon to ask" in str(raised.value)


def test_of_a_child_that_wrote_too_much_no_pipe_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves open is told when it is collected."""
    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda left: told.append(f"{left.object!r}: {left.exc_value}"))
    for _ in range(3):  # again when we stood still for the one second in which a pipe is read to its end
        told.clear()
        longest = 0.0
        for _ in range(300):
            started = time.monotonic()
            with pytest.raises(TooMuch):
                asyncio.run(run_child(["/bin/sh", "-c", "yes"], seconds=60, most=10))
            longest = max(longest, time.monotonic() - started)
        gc.collect()
        if not told or longest < 1:
            break
    assert told == []


async def test_a_child_that_reads_no_further_and_a_stream_that_fails(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield os.urandom(65536)

    ended = await run_child(["/bin/sh", "-c", "head -c 10 > /dev/null; exit 4"], seconds=60, most=10, data=endless())
    assert ended.code == 4

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the source")

    with pytest.raises(LookupError, match="the source"):
        await run_child(["/bin/cat"], seconds=60, most=10, data=broken())
