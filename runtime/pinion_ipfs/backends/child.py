"""A program that is run for one answer: its input is streamed, its output bounded, and it never outlives its caller."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from ..child_processes import end_session, kill_session

_CHUNK = 65536
_COMPLAINT_BYTES = 4096


class TooMuch(Exception):
    """The program wrote more than was asked for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code (negative: a signal), what it wrote, and the last of its complaints."""

    code: int
    output: bytes
    complaint: str


async def run_child(
    command: Sequence[str],
    *,
    seconds: float,
    most: int,
    data: AsyncGenerator[bytes, None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a program to its end; raise OSError when there is none, TimeoutError after `seconds`, TooMuch over `most` bytes.

    It has a session of its own, which is killed as a whole however this ends. An error of `data` is raised as it is.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL if data is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment) if environment is not None else None,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    feeding: asyncio.Task[None] | None = None
    complaints = asyncio.create_task(_tail(process.stderr))
    try:
        async with asyncio.timeout(seconds):
            if data is not None and process.stdin is not None:
                feeding = asyncio.create_task(_feed(process.stdin, data))
                feeding.add_done_callback(lambda task: None if _succeeded(task) else kill_session(process))
            output = bytearray()
            while chunk := await process.stdout.read(_CHUNK):
                output += chunk
                if len(output) > most:
                    raise TooMuch(f"more than {most} bytes")
            if feeding is not None:
                await feeding
            return Ended(await process.wait(), bytes(output), await complaints)
    finally:
        kill_session(process)
        for task in (feeding, complaints):
            if task is not None and not task.done():
                task.cancel()
        try:
            if feeding is not None:
                await asyncio.wait([feeding])  # it closes the stream that it read
        finally:
            await end_session(process)


async def _feed(stdin: asyncio.StreamWriter, data: AsyncGenerator[bytes, None]) -> None:
    """Write a stream in, and close it; a program that reads no further says itself why.

    What the stream raises is raised, and the input stays open: a stream that is cut must not look like one that is whole.
    """
    async with contextlib.aclosing(data):
        async for chunk in data:
            try:
                stdin.write(chunk)
                await stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                return
    stdin.close()


def _succeeded(task: "asyncio.Task[None]") -> bool:
    return not task.cancelled() and task.exception() is None


async def _tail(stream: asyncio.StreamReader) -> str:
    """Read a stream to its end, so that its writer never waits, and return the end of it."""
    tail = b""
    while chunk := await stream.read(_CHUNK):
        tail = (tail + chunk)[-_COMPLAINT_BYTES:]
    return tail.decode(errors="replace").strip()
