"""The end of a child process: nothing of it is left, and nothing that it does takes the place of what ended it."""

import asyncio
import os
import signal
import sys
import time

import pytest

from pinion_ipfs.child_processes import end_session
from tests.support.processes import has_ended
from tests.support.waiting import wait_until

# A traced process that has ended is its tracer's until that has looked: its own parent waits.
TRACER = """
import ctypes, os, sys, time
PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None):
    sys.exit(os.strerror(ctypes.get_errno()))
print("traced", flush=True)
time.sleep(600)
"""


async def start(*command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )


async def first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


async def test_output_that_nobody_read_is_thrown_away() -> None:
    for _ in range(3):  # again when we stood still for the one second in which it is read
        child = await start("sh", "-c", "echo begun; exec yes")
        assert await first_line(child) == "begun"
        started = time.monotonic()
        await end_session(child)
        assert child.returncode == -signal.SIGKILL
        assert child.stdout is not None
        ended, took = child.stdout.at_eof(), time.monotonic() - started
        await child.stdout.read()  # else what is left keeps the pipe open
        if ended or took < 1:
            break
    assert ended


@pytest.mark.parametrize("script", ["sleep 600 & echo $!; wait", "sleep 600 & echo $!"], ids=["runs", "has ended"])
async def test_its_own_children_end_with_it(script: str) -> None:
    child = await start("sh", "-c", script)
    grandchild = int(await first_line(child))
    await end_session(child)
    wait_until(lambda: has_ended(grandchild), "the child of the child ends")


async def test_who_has_left_the_session_and_holds_the_output_is_not_waited_for() -> None:
    child = await start("sh", "-c", "setsid sh -c 'echo $$; exec sleep 600' & wait")
    left = int(await first_line(child))
    try:
        async with asyncio.timeout(60):
            await end_session(child, reap_seconds=120)
        assert child.returncode == -signal.SIGKILL
        assert not has_ended(left)
    finally:
        os.kill(left, signal.SIGKILL)
    assert child.stdout is not None
    assert await child.stdout.read() == b""


async def test_one_that_does_not_go_is_told_and_what_ended_it_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    child = await start("sleep", "600")
    tracer = await start(sys.executable, "-c", TRACER, str(child.pid))
    try:
        assert await first_line(tracer) == "traced"

        async def work() -> None:
            try:
                await asyncio.sleep(600)
            finally:
                await end_session(child, reap_seconds=0.5)

        working = asyncio.create_task(work())
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert child.returncode is None
        assert f"process {child.pid}, which was killed, has not ended within 0.5 s" in caplog.text
    finally:
        await end_session(tracer)
    assert await child.wait() == -signal.SIGKILL
