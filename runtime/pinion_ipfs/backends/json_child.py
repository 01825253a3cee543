"""A child process that answers JSON lines, each within a deadline; one that is late is killed, and the next has another."""

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from ..child_processes import end_session

_LONGEST = 8 * 1024 * 1024  # bytes of one answer: a block of 2 MiB in base64 and more
_COMPLAINT_BYTES = 4096


class ChildFailed(Exception):
    """The child gave no answer; the message says how it ended, and its last words."""


class JsonChild:
    """`command` is started with the first request, for each loop that asks. One request is under way at a time."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left: list[object] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._complaint = b""

    async def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Return the answer; raise TimeoutError after `seconds`, and ChildFailed for a child that ended or says no JSON."""
        self._enter()
        async with self._turn:
            whole = False
            try:
                async with asyncio.timeout(seconds):
                    answer = await self._exchange(json.dumps(request).encode() + b"\n")
                whole = True
                return answer
            finally:
                if not whole:  # half an answer may be on its way: the next request has a child of its own
                    await self._end()

    async def close(self) -> None:
        """End the child."""
        self._enter()
        async with self._turn:
            await self._end()

    def _enter(self) -> None:
        """Leave what another loop has started alone: after a fork it is the parent's, which goes on talking to it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._left += [self._process, self._reading] if self._process is not None else []
            self._loop, self._process, self._reading, self._turn = loop, None, None, asyncio.Lock()

    async def _exchange(self, line: bytes) -> dict[str, Any]:
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
            await process.stdin.drain()
            answer = await process.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        except ValueError:
            raise ChildFailed(f"an answer of more than {_LONGEST} bytes") from None
        if not answer.endswith(b"\n"):
            raise ChildFailed(await self._death(process))
        try:
            value = json.loads(answer)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ChildFailed("an answer that is no JSON object")
        return value

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._complaint = b""
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                limit=_LONGEST,
                start_new_session=True,
            )
            assert self._process.stderr is not None
            self._reading = asyncio.create_task(self._read_complaints(self._process.stderr))
        return self._process

    async def _read_complaints(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(65536):
            self._complaint = (self._complaint + chunk)[-_COMPLAINT_BYTES:]

    async def _death(self, process: asyncio.subprocess.Process) -> str:
        code = await process.wait()
        if self._reading is not None:
            await self._reading
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = self._complaint.decode(errors="replace").strip().splitlines()
        return f"its process ended with {how}{f': {lines[-1][:300]}' if lines else ''}"

    async def _end(self) -> None:
        """Kill what is left of the child's session, and reap it."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            await end_session(process)
        finally:
            if self._reading is not None:
                self._reading.cancel()
                self._reading = None
