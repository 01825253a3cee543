"""The parent's side: start the child, read its events, end it when it stalls or is no longer wanted."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..child_processes import end_session
from ..errors import DownloadFailed, DownloadStalled, from_report
from ..net.trust import child_variables
from .job import OriginJob

# Without these Xet's buffers grow to gigabytes.
_XET_LIMITS = {
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "64mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_PERFILE_SIZE": "16mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "128mb",
    "HF_XET_TELEMETRY_ENABLED": "0",
    # Else it tries for minutes to reach what a mirror has promised: the file comes without it sooner.
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "10s",
}
# What would undo the limits, or send a token that the job doesn't name.
_NOT_PASSED_ON = (
    *("HF_XET_HIGH_PERFORMANCE", "HF_XET_HP", "HF_XET_CACHE", "HF_HUB_ENABLE_HF_TRANSFER", "HF_HUB_DISABLE_SYMLINKS"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE"),
)
_START_SECONDS = 60.0

_log = logging.getLogger(__name__)


class OriginProcess:
    """One run of the child; `stall_seconds` without a sign of life ends it."""

    def __init__(self, job: OriginJob, *, stall_seconds: float = 120.0) -> None:
        self._job = replace(job, stall_seconds=stall_seconds)
        self._stall_seconds = stall_seconds
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Return the child's process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """Run the job and yield its events; the child is gone when this ends, however it ends.

        `bytes` has `received`, all files together; `file` one that is in the store; `wrong` one whose bytes were not the
        announced ones, with `path`, `source` and `message`: it is tried again.

        Raises the error that the child reported, DownloadFailed for its death, DownloadStalled for its silence.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pinion_ipfs.origin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(self._job.hf_home / "pinion" / "staging" / "home", self._stall_seconds),
            start_new_session=True,
        )
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = asyncio.create_task(_last_line(process.stderr))
        try:
            process.stdin.write(self._job.encode())
            await process.stdin.drain()
            # Python and the hub's library take their time to start, more on a busy machine: that is no silence of the origin.
            await self._line(process.stdout, max(self._stall_seconds, _START_SECONDS))
            while line := await self._line(process.stdout, self._stall_seconds):
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "error":
                    if cause := event["details"].get("cause"):
                        _log.warning("%s", cause)
                    raise from_report(event["name"], event["message"], event["details"])
                if event["event"] == "notice":
                    _log.warning("%s", event["message"])
                    continue
                yield event
            code = await process.wait()
            if code:
                raise self._death(_describe(code), await complaints)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death("a closed pipe", await complaints) from error
        finally:
            try:
                await end_session(process)
            finally:
                complaints.cancel()

    def _death(self, how: str, complaint: str) -> DownloadFailed:
        what = f"{self._job.repo}@{self._job.commit}: the download process ended with {how}"
        return DownloadFailed(f"{what}: {complaint}" if complaint else what)

    async def _line(self, stream: asyncio.StreamReader, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await stream.readline()
        except TimeoutError as error:
            what = f"{self._job.repo}@{self._job.commit} from {self._job.endpoint or 'the hub'}"
            raise DownloadStalled(f"{what}: no byte for {seconds:.0f} s") from error


def child_environment(home: Path, stall_seconds: float = 60.0) -> dict[str, str]:
    """Return the child's environment: ours, with private folders and bounded buffers."""
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
    return (
        environment
        | child_variables(home)
        | _XET_LIMITS
        | {
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_SHARED_BLOBS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": str(max(1, round(stall_seconds))),
        }
        | _xet_times(stall_seconds)
    )


def _xet_times(stall_seconds: float) -> dict[str, str]:
    """Return times with which Xet's three tries at what says nothing end well within the silence that ends the child."""
    return {
        "HF_XET_CLIENT_CONNECT_TIMEOUT": _milliseconds(min(5, stall_seconds / 6)),
        "HF_XET_CLIENT_READ_TIMEOUT": _milliseconds(stall_seconds / 6),
        "HF_XET_CLIENT_RETRY_BASE_DELAY": _milliseconds(min(0.5, stall_seconds / 32)),
    }


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


async def _last_line(stream: asyncio.StreamReader) -> str:
    """Read a stream to its end, so that its writer never waits, and return the last line, cut short."""
    tail = b""
    while chunk := await stream.read(65536):
        tail = (tail + chunk)[-4096:]
    lines = tail.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _describe(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
