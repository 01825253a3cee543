"""The loaded model of a pod: engine, queue and tokenizer, and what happens when the engine dies."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pinion_contract.config import Limits, RuntimeConfig
from pinion_contract.status import Phase, Warm
from pinion_ipfs.errors import ContentError
from pinion_ipfs.fetching.view import has_others, make_view, remove_view

from ..engines.protocol import Capabilities, EngineSpec
from ..engines.supervisor import EngineSupervisor
from ..errors import EngineError, EngineLoadError
from ..model.files import ModelFiles, read_model_files
from ..model.task import Task, choose_task
from ..model.tokenizing import Tokenizer
from ..pod.state import Pod
from ..pod.stopwatch import stopwatch
from .served_task import ServedTask, make_task

_log = logging.getLogger(__name__)


async def _check(verify: Callable[[], Awaitable[object]]) -> None:
    try:
        await verify()
    except ContentError as error:
        raise EngineLoadError(str(error)) from error


@dataclass(frozen=True)
class _Loaded:
    """What there is once the engine has the model."""

    tokenizer: Tokenizer
    capabilities: Capabilities
    files: ModelFiles


class ModelServer:
    """One model of one verified folder. Order: `load`, `warm_up`, `serve`, `close`.

    `verify` reads the files again, for an engine that takes the place of one that died; None: nobody changes them.
    """

    def __init__(
        self,
        pod: Pod,
        config: RuntimeConfig,
        snapshot: Path,
        files: Mapping[str, Path],
        verify: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._pod = pod
        self._config = config
        self._snapshot = snapshot
        self._view: Path | None = None
        self._files = files  # what the CID covers, and where it lies
        self._verify = verify
        self._task: ServedTask | None = None
        self._supervisor: EngineSupervisor | None = None
        self._loaded: _Loaded | None = None

    async def load(self) -> None:
        """Start the engine and take its tokenizer; raise EngineLoadError."""
        started = time.monotonic()
        with stopwatch(self._pod, "load_seconds"):
            # A cache that others fill, too, may hold more of the commit than was chosen.
            if await asyncio.to_thread(has_others, self._snapshot, self._files):
                self._snapshot = self._view = await asyncio.to_thread(make_view, self._files)
            files = await asyncio.to_thread(read_model_files, self._snapshot)
            wanted = "" if self._config.task == "auto" else self._config.task
            task = choose_task(wanted, files.tasks, files.architecture)
            self._task = await make_task(task, self._pod, files.transformer)
            supervisor = self._supervisor = self._supervise(task, self._task)
            capabilities = await supervisor.start()
            # As the engine has it: transformers rebuilds parts of some tokenizers when it loads them.
            tokenizer = await asyncio.to_thread(
                Tokenizer.from_snapshot,
                self._snapshot,
                supervisor.tokenizer,
                capabilities.special_ids,
                capabilities.max_sequence_length,
            )
        self._pod.metrics.load_seconds.labels(self._pod.metrics.model).observe(time.monotonic() - started)
        await asyncio.to_thread(self._check_opened, capabilities.opened_files)
        self._describe(capabilities, files)
        self._loaded = _Loaded(tokenizer, capabilities, files)

    def _supervise(self, task: Task, served: ServedTask) -> EngineSupervisor:
        config = self._config
        spec = EngineSpec(
            snapshot=self._snapshot,
            task=task,
            dtype=config.dtype,
            context_length=config.context_length,
            max_sequences=config.max_sequences,
        )
        return EngineSupervisor(
            spec,
            served.queue,
            on_death=self._died,
            on_recovered=self._recovered,
            check_again=partial(_check, self._verify) if self._verify else None,
        )

    async def warm_up(self) -> None:
        """Compute real inputs, tokenised as requests are; raise the EngineError that came."""
        warmup = self._config.warmup
        if not warmup.enabled:
            self._pod.warm = Warm(skipped=True)
            return
        task, supervisor, loaded = self._ready()
        tokens = await task.warmup_ids(loaded.tokenizer, warmup.inputs, loaded.capabilities)
        try:
            with stopwatch(self._pod, "warmup_seconds"):
                report = await supervisor.warm_up(tokens, warmup.timeout_seconds)
        except EngineError as error:
            self._pod.warm = Warm(error=str(error))
            raise
        self._pod.warm = Warm(done=True, inputs=report.inputs, seconds=round(report.seconds, 3))

    async def serve(self) -> None:
        """Let requests in."""
        task, supervisor, loaded = self._ready()
        self._pod.serving = await task.serving(loaded.tokenizer, loaded.capabilities, loaded.files)
        self._pod.metrics.watch_queue(lambda: (task.queue.queued_requests, task.queue.running_requests))
        supervisor.serve()

    def set_limits(self, limits: Limits) -> None:
        """Change the bounds of the queue."""
        if self._task is not None:
            self._task.set_limits(limits)

    async def close(self) -> None:
        """End the engine; what still waits is told."""
        if self._task is not None:
            await self._task.close()
        if self._supervisor is not None:
            await self._supervisor.close()
        if self._view is not None:
            await asyncio.to_thread(remove_view, self._view)

    def _check_opened(self, paths: Sequence[str]) -> None:
        # By their bytes: several paths may lead to the same blob, and only one of them be among the chosen files.
        covered = {os.path.realpath(file) for path, blob in self._files.items() for file in (blob, self._snapshot / path)}
        for path in paths:
            if os.path.realpath(self._snapshot / path) not in covered:
                raise EngineLoadError(f"the engine opened {path}, which is not among the files that the CID covers")

    def _ready(self) -> tuple[ServedTask, EngineSupervisor, _Loaded]:
        if self._task is None or self._supervisor is None or self._loaded is None:
            raise RuntimeError("used before load")
        return self._task, self._supervisor, self._loaded

    def _describe(self, capabilities: Capabilities, files: ModelFiles) -> None:
        embeds = capabilities.task == "feature-extraction"
        self._pod.model = self._pod.model.model_copy(
            update={
                "pooling": files.pooling if embeds else "",
                "pooling_assumed": files.pooling_assumed and embeds,
                "task": capabilities.task,
                "architecture": capabilities.architecture,
                "engine": capabilities.engine,
                "engine_reason": capabilities.engine_reason,
                "dtype": capabilities.dtype,
                "device": capabilities.device,
                "dimensions": capabilities.dimensions,
                "max_sequence_length": capabilities.max_sequence_length,
                "context_length": capabilities.context_length,
                "max_sequences": capabilities.max_sequences,
            }
        )

    def _died(self, reason: str) -> None:
        _log.error("the engine died: %s", reason)
        self._pod.lifecycle.engine_died(reason)
        self._count_restarts()

    def _recovered(self, capabilities: Capabilities) -> None:
        lifecycle = self._pod.lifecycle
        self._count_restarts()
        self._pod.metrics.engine_restarts.labels(self._pod.metrics.model).inc()
        task, _, loaded = self._ready()
        self._describe(capabilities, loaded.files)
        if self._pod.serving is not None:
            self._pod.serving = task.renewed(self._pod.serving, capabilities)
        if lifecycle.phase is Phase.LOADING:
            lifecycle.to(Phase.WARMING_UP)
            lifecycle.to(Phase.READY)

    def _count_restarts(self) -> None:
        if self._supervisor is not None:
            self._pod.engine_restarts = self._supervisor.restarts
