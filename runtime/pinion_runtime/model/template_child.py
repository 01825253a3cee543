"""The process that renders chat templates, seen from the front's event loop."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from .template_protocol import HEADER_BYTES, Failed, Ready, Rendered, from_process

_LOOK_SECONDS = 0.1  # between two looks at the time; only time in which the front itself was awake counts
_MODULE = "pinion_runtime.model.template_process"
_KEPT = ("PYTHONPATH", "PYTHONHOME", "TZ")  # of the environment: where Python finds us, and what time it is


@dataclass(frozen=True, slots=True)
class TemplateChild:
    """A running process and the two ends of its socket."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def start(cls) -> "TemplateChild":
        """Start the process; raise OSError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: ASYNC220 - exec takes a millisecond
                    [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in _KEPT if name in os.environ},
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    process_group=0,  # signals of a terminal go to the front alone
                )
            except OSError:
                ours.close()
                raise
        try:
            return cls(process, *await asyncio.open_unix_connection(sock=ours))
        except BaseException:
            ours.close()
            process.kill()
            process.wait()
            raise

    async def ask(self, frame: bytes, seconds: float, most: int) -> Ready | Rendered | Failed:
        """Return the answer to a message, of at most `most` bytes; raise TimeoutError, EOFError, OSError or ValueError."""
        task = asyncio.get_running_loop().create_task(self._ask(frame, most))
        left = seconds
        try:
            while not task.done():
                if left <= 0:
                    raise TimeoutError
                began = time.monotonic()
                await asyncio.wait((task,), timeout=min(left, _LOOK_SECONDS))
                left -= min(time.monotonic() - began, 2 * _LOOK_SECONDS)
        finally:
            task.cancel()
        return task.result()

    async def _ask(self, frame: bytes, most: int) -> Ready | Rendered | Failed:
        self.writer.write(frame)
        await self.writer.drain()
        size = int.from_bytes(await self.reader.readexactly(HEADER_BYTES), "little")
        if size > most:
            raise ValueError(f"it announced an answer of {size} bytes")
        answer: Ready | Rendered | Failed = from_process.decode(await self.reader.readexactly(size))
        return answer

    async def end(self) -> str:
        """Kill the process and wait until it is gone; return how it had ended by itself, "" where it had not."""
        code = self.process.poll()
        self.process.kill()
        self.writer.transport.abort()
        await asyncio.to_thread(self.process.wait)
        if code is None:
            return ""
        return f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"it exited with status {code}"
