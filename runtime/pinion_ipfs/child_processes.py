"""The end of a child process that leads a session: all of that is killed, what it left is read, and it is reaped."""

import asyncio
import contextlib
import logging
import os
import signal

_REAP_SECONDS = 5.0
_REST_SECONDS = 1.0  # after it has ended: somebody who left the session may hold its pipe
_log = logging.getLogger(__name__)


def kill_session(process: asyncio.subprocess.Process) -> None:
    """Kill the child and its own children, which hold its pipes too, also where the child itself has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone, or its number is another's by now
        os.killpg(process.pid, signal.SIGKILL)


async def end_session(process: asyncio.subprocess.Process, reap_seconds: float = _REAP_SECONDS) -> None:
    """Kill the child's session, and reap it; what is left in a pipe of its output that nobody reads is thrown away.

    Raises nothing for a child that does not go, as one that waits for a disk: it would take the place of what ended it.
    """
    kill_session(process)
    if process.stdin is not None:
        process.stdin.close()
    reading = None if process.stdout is None else asyncio.create_task(_drain(process.stdout))  # else it would stay open
    try:
        async with asyncio.timeout(reap_seconds):
            while process.returncode is None:  # noqa: ASYNC110 - asyncio's own `wait` waits for the pipes, too
                await asyncio.sleep(0.01)
        if reading is not None:
            await asyncio.wait_for(asyncio.shield(reading), _REST_SECONDS)
    except TimeoutError:
        if process.returncode is None:
            _log.warning("process %d, which was killed, has not ended within %g s", process.pid, reap_seconds)
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])


async def _drain(stream: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await stream.read(65536):
            pass
