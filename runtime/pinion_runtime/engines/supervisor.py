"""Starts an engine process, watches it, and replaces it when it dies."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from ..errors import EngineDied, EngineError
from .process import SILENCE_SECONDS, EngineProcess
from .protocol import Capabilities, EngineSpec, MemoryUse, Progress, WarmupReport, WorkSource
from .warm_up import warm_up

logger = logging.getLogger(__name__)

_STABLE_SECONDS = 60.0  # an engine that lived this long starts the backoff again


class EngineSupervisor:
    """One engine process at a time. Order: `start`, `warm_up` (optional), `serve`; then deaths are repaired by itself.

    `on_death` gets the reason once per death, and again when a replacement fails; `on_recovered` means that work flows again.
    `check_again` is awaited around the load of a replacement: it raises EngineError when the files are other ones by now.
    """

    def __init__(
        self,
        spec: EngineSpec,
        work: WorkSource,
        *,
        on_death: Callable[[str], None],
        on_recovered: Callable[[Capabilities], None],
        check_again: Callable[[], Awaitable[None]] | None = None,
        load_timeout: float = 600.0,
        backoff_seconds: tuple[float, float] = (0.5, 30.0),
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._spec, self._work = spec, work
        self._on_death, self._on_recovered, self._check_again = on_death, on_recovered, check_again
        self._load_timeout, self._backoff, self._silence_seconds = load_timeout, backoff_seconds, silence_seconds
        self._process: EngineProcess | None = None
        self._context_length = 0  # of what is loaded
        self._serving = False  # wanted: set by serve, taken back by close
        self._granted = False  # the present process has its credits in the queue
        self._warm_up: tuple[Sequence[Sequence[int]], float] | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._failures = 0  # deaths and failed loads since an engine was stable
        self._served_since = 0.0
        self._restarts = 0

    @property
    def alive(self) -> bool:
        """Whether an engine is loaded and serving."""
        return self._granted

    @property
    def restarts(self) -> int:
        """How often an engine has been replaced."""
        return self._restarts

    @property
    def pid(self) -> int | None:
        """The process id of the engine, None when there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def tokenizer(self) -> bytes:
        """The JSON of the model's tokenizer as transformers makes it; empty before the engine has loaded."""
        return self._process.tokenizer if self._process is not None else b""

    def memory(self) -> MemoryUse:
        """Return the memory the engine last reported; zeros when there is none."""
        return self._process.memory if self._process is not None else MemoryUse()

    async def start(self) -> Capabilities:
        """Start the process and load; raise EngineLoadError with the reason."""
        process = EngineProcess(self._progress, self._exited, self._silence_seconds)
        capabilities = await process.load(self._spec, self._load_timeout)
        self._process, self._context_length = process, capabilities.context_length
        return capabilities

    async def warm_up(self, token_ids: Sequence[Sequence[int]], timeout: float) -> WarmupReport:
        """Compute these inputs for real, now and after each restart; raise the EngineError that came."""
        report = await self._compute(token_ids, timeout)
        self._warm_up = (token_ids, timeout)
        return report

    async def _compute(self, token_ids: Sequence[Sequence[int]], timeout: float) -> WarmupReport:
        if self._process is None:
            raise EngineDied("there is no engine")
        return await warm_up(self._process, self._spec.task, token_ids, timeout, self._context_length)

    def serve(self) -> None:
        """Let the queue hand work to the engine, from now on and after each restart; raise EngineDied when there is none."""
        process = self._process
        if process is None:
            raise EngineDied("there is no engine")
        self._serving = self._granted = True
        self._served_since = time.monotonic()
        self._work.grant(process, process.credits)

    async def close(self) -> None:
        """End the engine and stop replacing it."""
        self._serving = False
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.gather(self._replacing, return_exceptions=True)
        if self._process is not None:
            await self._process.shut_down()

    def _progress(self, process: EngineProcess, progress: Progress) -> None:
        self._work.finish(process, progress)

    def _exited(self, process: EngineProcess, reason: str) -> None:
        """Fail what the process held, and replace it when it was serving."""
        if process is not self._process:
            return  # it ended while it was loading: whoever waits for that knows the reason
        self._process = None
        self._work.lose(process, EngineDied(reason))
        if not self._granted:
            return
        self._granted = False
        if not self._serving:
            return  # we are closing
        logger.error("%s", reason)
        if time.monotonic() - self._served_since > _STABLE_SECONDS:
            self._failures = 0
        self._on_death(reason)
        self._replacing = asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        """Load and warm up a new engine, again and again until one serves."""
        while True:
            await asyncio.sleep(self._pause())
            self._failures += 1
            try:
                await self._check()  # first, because a load is dear; and after it, because files change meanwhile
                capabilities = await self.start()
                await self._check()
                if self._warm_up is not None:
                    await self._compute(*self._warm_up)
            except EngineError as error:
                logger.error("no new engine yet: %s", error)  # noqa: TRY400 - an expected error; the text is the whole story
                if self._process is not None:
                    process, self._process = self._process, None
                    await process.kill("it was not fit to serve")
                self._on_death(str(error))
                continue
            self._restarts += 1
            self.serve()
            self._on_recovered(capabilities)
            return

    async def _check(self) -> None:
        if self._check_again is not None:
            await self._check_again()

    def _pause(self) -> float:
        """Return the seconds before the next attempt: doubled with each failure, with jitter."""
        first, longest = self._backoff
        pause: float = min(longest, first * 2.0 ** min(self._failures, 16))
        return pause * random.uniform(0.5, 1.0)
