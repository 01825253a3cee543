"""The content process as its parent sees it: started, told what to share, and started again when it dies."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..child_processes import end_session
from .orders import encode_order
from .revision import Revision

_log = logging.getLogger(__name__)
_ORDER_SECONDS = 10.0  # for an order to be carried out: it may read the records of a large model
_START_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_STABLE_SECONDS = 60.0  # a process that lived so long starts the pauses again
_HANG_SECONDS = 30.0  # without a sign of life, when one was asked for


@dataclass(frozen=True, slots=True)
class ContentPort:
    """Where and from which store a content process serves."""

    hf_home: Path
    token_file: Path
    host: str
    port: int
    instance: str
    cache_dir: Path | None = None  # None: the folder hub/ of hf_home


class ContentProcess:
    """`run` keeps one process alive until it is cancelled; the process ends with its parent, however that ends."""

    def __init__(
        self,
        where: ContentPort,
        on_wrong: Callable[[str, int], None] = lambda path, block: None,
        *,
        hang_seconds: float = _HANG_SECONDS,
    ) -> None:
        self._where = where
        self._on_wrong = on_wrong
        self._hang_seconds = hang_seconds
        self._shared: dict[str, Revision] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._listening = asyncio.Event()
        self.address: tuple[str, int] | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> None:
        """Start the process, and again whenever it ends; returns only by cancellation, when the process is gone."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            started = loop.time()
            reason = await self._once()
            if loop.time() - started > _STABLE_SECONDS:
                pause = _FIRST_PAUSE
            _log.error("the content server ended (%s); another one is started", reason)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
            self.restarts += 1

    async def listening(self, seconds: float = _START_SECONDS) -> bool:
        """Wait until it accepts; False when it does not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._listening.wait()
        return self._listening.is_set()

    async def put(self, digest: str, revision: Revision | None) -> None:
        """Share a revision, or nothing of this digest; returns when peers see it, or when nobody serves them now."""
        if revision is None:
            self._shared.pop(digest, None)
        else:
            self._shared[digest] = revision
        if not self._listening.is_set():
            return  # the next process is told everything at its start
        done = asyncio.get_running_loop().create_future()
        number = self._send(digest, revision, done)
        try:
            async with asyncio.timeout(_ORDER_SECONDS):
                await done
        except TimeoutError:
            _log.warning("the content server did not carry out an order in %g s", _ORDER_SECONDS)
        finally:
            self._waiting.pop(number, None)

    def note(self, revision: Revision) -> None:
        """Share a revision without waiting until peers see it."""
        self._shared[revision.digest] = revision
        if self._listening.is_set():
            self._send(revision.digest, revision, None)

    def _send(self, digest: str, revision: Revision | None, done: "asyncio.Future[None] | None") -> int:
        self._number += 1
        if done is not None:
            self._waiting[self._number] = done
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(encode_order(self._number, digest, revision))
        return self._number

    async def _once(self) -> str:
        where = self._where
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pinion_ipfs", "serve", "--orders"),
            *("--token-file", str(where.token_file), "--host", where.host, "--port", str(where.port)),
            *("--instance", where.instance),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"HF_HOME": str(where.hf_home), "HF_HUB_CACHE": str(where.cache_dir or where.hf_home / "hub")},
            start_new_session=True,  # signals of a terminal go to the parent alone
        )
        watching = asyncio.create_task(self._end_when_it_hangs(process))
        try:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                self._hear(json.loads(line))
            code = await process.wait()
            return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        finally:
            watching.cancel()
            self._listening.clear()
            self.address = None
            for future in self._waiting.values():
                if not future.done():
                    future.set_result(None)
            await end_session(process)

    async def _end_when_it_hangs(self, process: asyncio.subprocess.Process) -> None:
        """Ask for a sign of life now and then, by an order that changes nothing, and kill what gives none."""
        loop = asyncio.get_running_loop()
        await self._listening.wait()
        while True:
            alive = loop.create_future()
            number = self._send("", None, alive)
            await asyncio.wait({alive}, timeout=self._hang_seconds)
            if not alive.done():
                self._waiting.pop(number, None)
                _log.error("the content server gave no sign of life in %g s and is killed", self._hang_seconds)
                process.kill()
                return
            await asyncio.sleep(self._hang_seconds / 3)

    def _hear(self, said: dict[str, Any]) -> None:
        if listening := said.get("listening"):
            self.address = listening["host"], listening["port"]
            # Orders are carried out one after the other: what is put from now on comes after these.
            for digest, revision in self._shared.items():
                self._send(digest, revision, None)
            self._listening.set()
        if (future := self._waiting.pop(said.get("done", -1), None)) is not None and not future.done():
            future.set_result(None)
        if wrong := said.get("wrong"):
            self._on_wrong(wrong["path"], wrong["block"])
