"""One engine process from exec to exit, seen from the front's event loop."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from ..errors import EngineDied, EngineError, EngineLoadError, EngineOutOfMemory
from .cpus import oom_kills
from .environment import engine_environment
from .frames import BrokenStreamError, FrameReader, encode_frame, from_engine
from .protocol import (
    Batch,
    Cancel,
    Capabilities,
    Done,
    EngineSpec,
    Generate,
    Heartbeat,
    Load,
    Loaded,
    LoadFailed,
    MemoryUse,
    Progress,
    Shutdown,
    Step,
    Steps,
    ToEngine,
    Work,
)
from .schedstat import run_delays
from .watch import LOOK_SECONDS, Watch

_STDERR = 2  # the descriptor, whatever sys.stderr is now
_WORKER = "pinion_runtime.engines.worker"
_EXIT_SECONDS = 0.5  # from Shutdown to the end of an idle process, before it is killed
_LOADING_SILENCE_SECONDS = 120.0  # importing torch from a cold disk holds the interpreter's lock
SILENCE_SECONDS = 20.0  # a serving engine sends a heartbeat every second
_LAST_WORDS_SECONDS = 1.0  # between the end of the process and the end of its socket, in either order
STUCK_SECONDS = 30.0  # past the last deadline of a batch: nobody waits for it, yet it goes on


class EngineProcess(asyncio.Protocol):
    """A Worker. `on_exit` is called once, with the reason, when the process is gone."""

    def __init__(
        self,
        on_progress: Callable[["EngineProcess", Progress], None],
        on_exit: Callable[["EngineProcess", str], None],
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._on_progress, self._on_exit = on_progress, on_exit
        self._silence_seconds = silence_seconds  # without a heartbeat, once it is loaded
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: asyncio.Future[Capabilities] = self._loop.create_future()
        self._exited = asyncio.Event()
        self._closed = False  # the socket has ended
        self._reason = ""  # why we killed it, when we did
        self._own: dict[int, asyncio.Future[Done]] = {}  # batches that `compute` waits for
        self._own_steps: dict[int, tuple[asyncio.Future[None], list[Step]]] = {}  # of requests that `generate` waits for
        self._choices: dict[int, int] = {}  # that have not finished, of requests that are with the engine
        self._watch = Watch(time.monotonic(), STUCK_SECONDS)
        self._timeouts: set[asyncio.Timeout] = set()  # of those who wait for this process
        self._oom_kills = 0
        self.credits = 0
        self.tokenizer = b""  # the JSON of the model's tokenizer, once it is loaded
        self.memory = MemoryUse()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and not self._exited.is_set() else None

    async def load(self, spec: EngineSpec, timeout: float) -> Capabilities:
        """Start the process and let it load; raise EngineLoadError, after which it is gone."""
        self._oom_kills = oom_kills()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - exec takes a millisecond; uvloop's own sets no process group
                [sys.executable, "-m", _WORKER, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                env=engine_environment(os.environ, spec.task, counts_waits=bool(run_delays())),
                stdout=_STDERR,
                pass_fds=(theirs.fileno(),),
                process_group=0,  # signals of a terminal go to the front alone
            )
        self._watch = Watch(time.monotonic(), STUCK_SECONDS)
        pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(pidfd, self._reap, pidfd)
        try:
            await self._loop.create_unix_connection(lambda: self, sock=ours)
            self._send(Load(spec))
            self._loop.call_later(LOOK_SECONDS, self._look)
            async with self._within(timeout):
                return await asyncio.shield(self._loaded)
        except TimeoutError as error:
            await self.kill(f"loading took more than {timeout:g} s")
            raise EngineLoadError(f"loading took more than {timeout:g} s") from error
        except BaseException:
            await self.kill("loading was given up")
            raise

    # --- a Worker

    def send(self, work: Work) -> None:
        """Hand work over."""
        match work:
            case Batch():
                self._watch.sent(work.number, max((part.deadline for part in work.parts), default=0.0))
            case Generate():
                self._choices[work.key] = work.choices
                self._watch.sent(work.key, work.deadline)
        self._send(work)

    def cancel(self, keys: list[int]) -> None:
        """Tell the engine that nobody waits for these requests."""
        self._send(Cancel(keys))

    async def compute(self, batch: Batch, timeout: float) -> Done:
        """Send a batch past the queue and wait for it; raise EngineDied or TimeoutError."""
        future: asyncio.Future[Done] = self._loop.create_future()
        self._own[batch.number] = future
        try:
            self.send(batch)
            async with self._within(timeout):
                return await future
        finally:
            self._own.pop(batch.number, None)

    async def generate(self, request: Generate, timeout: float) -> list[Step]:
        """Send a request past the queue and wait for all its steps; raise the EngineError that came, or TimeoutError."""
        future: asyncio.Future[None] = self._loop.create_future()
        steps: list[Step] = []
        self._own_steps[request.key] = (future, steps)
        try:
            self.send(request)
            async with self._within(timeout):
                await future
        finally:
            self._own_steps.pop(request.key, None)
        return steps

    @contextlib.asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError after this long; time in which the front was held up is added."""
        async with asyncio.timeout(seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    # --- the end

    async def shut_down(self) -> None:
        """Let an idle engine exit; kill one that does not, and at once one that computes: nobody waits for that any more."""
        if not self._watch.busy:
            self._send(Shutdown())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_SECONDS):
                    await self._exited.wait()
        await self.kill("it did not end when it was told to")

    async def kill(self, reason: str) -> None:
        """Kill the process and wait until it is gone; does nothing when it is."""
        self._kill(reason)
        if self._process is not None:
            await self._exited.wait()

    def _kill(self, reason: str) -> None:
        if self._process is not None and not self._exited.is_set():
            self._reason = self._reason or reason
            self._process.kill()

    def _reap(self, pidfd: int) -> None:
        """Note the exit; what the process said last may still be in the socket, whose end is waited for."""
        assert self._process is not None
        self._process.wait()
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        if self._closed:
            self._finish()
        else:
            self._loop.call_later(_LAST_WORDS_SECONDS, self._finish)

    def _finish(self) -> None:
        code = self._process.returncode if self._process is not None else None
        if code is None or self._exited.is_set():
            return
        self._exited.set()
        if self._transport is not None:
            self._transport.abort()
        reason = self._describe(code)
        waiting: list[asyncio.Future[Any]] = [*self._own.values(), *(future for future, _ in self._own_steps.values())]
        for future in waiting:
            if not future.done():
                future.set_exception(EngineDied(reason))
        if not self._loaded.done():
            self._loaded.set_exception(self._load_error(code, reason))
            self._loaded.exception()  # nobody may be waiting any more
        self._on_exit(self, reason)

    def _load_error(self, code: int, reason: str) -> EngineError:
        """Return what an end before the model was loaded means; another engine may load what one was killed over."""
        if code != -signal.SIGKILL or self._reason:
            return EngineLoadError(reason)
        return EngineOutOfMemory(reason) if oom_kills() > self._oom_kills else EngineDied(reason)

    def _describe(self, code: int) -> str:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        if self._reason:
            return f"the engine process was stopped: {self._reason}"
        if code == -signal.SIGKILL and oom_kills() > self._oom_kills:
            return f"the engine process {how}: out of memory"
        return f"the engine process {how}" + (" (out of memory is the usual cause)" if code == -signal.SIGKILL else "")

    # --- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are not subclasses

    def connection_lost(self, error: Exception | None) -> None:
        """Finish when the process is dead already; one that only closed its socket is killed."""
        self._closed = True
        self._finish()
        if not self._exited.is_set():
            self._loop.call_later(_LAST_WORDS_SECONDS, self._kill, "it closed its socket")

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        self._watch.heard()
        try:
            messages = [from_engine.decode(message) for message in self._reader.feed(data)]
        except (BrokenStreamError, ValueError) as error:
            self._kill(f"it sent what is no message: {error}")
            return
        for message in messages:
            match message:
                case Done():
                    self._take_done(message)
                case Steps():
                    self._take_steps(message)
                case Heartbeat():
                    self.memory = MemoryUse(
                        message.memory.resident_bytes, message.memory.shared_bytes, self.memory.device_bytes
                    )
                case Loaded():
                    self.credits, self.memory, self.tokenizer = message.credits, message.memory, message.tokenizer
                    if not self._loaded.done():
                        self._loaded.set_result(message.capabilities)
                case LoadFailed():
                    if not self._loaded.done():
                        self._loaded.set_exception(message.failure.to_error())

    def _take_done(self, done: Done) -> None:
        self.memory = done.memory
        self._watch.done(done.number)
        future = self._own.pop(done.number, None)
        if future is None:
            self._on_progress(self, done)
        elif not future.done():
            future.set_result(done)

    def _take_steps(self, steps: Steps) -> None:
        for step in steps.steps:
            left = self._choices.get(step.key, 0) - bool(step.finish) if step.failure is None else 0
            self._choices[step.key] = left
            if not left:
                del self._choices[step.key]
                self._watch.done(step.key)
            if step.key in self._own_steps:
                self._keep_step(step, not left)
        self._on_progress(self, steps)

    def _keep_step(self, step: Step, last: bool) -> None:
        future, steps = self._own_steps[step.key]
        steps.append(step)
        if last and not future.done():
            if step.failure is not None:
                future.set_exception(step.failure.to_error())
            else:
                future.set_result(None)

    def _send(self, message: ToEngine) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame(message))

    def _look(self) -> None:
        """Kill a process that is silent, or busy with a batch whose every deadline is long past; looked at every second."""
        if self._exited.is_set():
            return
        silence = self._silence_seconds if self._loaded.done() else _LOADING_SILENCE_SECONDS
        reason, held_up = self._watch.look(time.monotonic(), silence)
        if reason:
            self._kill(reason)
        if held_up:
            for timeout in self._timeouts:
                if (when := timeout.when()) is not None and not timeout.expired():
                    timeout.reschedule(when + held_up)
        self._loop.call_later(LOOK_SECONDS, self._look)
