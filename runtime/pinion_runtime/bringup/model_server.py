"""The loaded model of a pod: engine, queue and tokenizer, and what happens when the engine dies."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pinion_contract.config import Limits, RuntimeConfig
from pinion_contract.status import Phase, Warm
from pinion_ipfs.errors import ContentError

from ..engines.protocol import Capabilities, EngineSpec
from ..engines.supervisor import EngineSupervisor
from ..errors import EngineDied, EngineError, EngineLoadError
from ..model.files import ModelFiles, read_model_files
from ..model.tokenizing import Tokenizer
from ..pod.state import Pod, Serving
from ..pod.stopwatch import stopwatch
from ..scheduling.texts import BatchStats, RequestQueue

_log = logging.getLogger(__name__)
# A batch of short texts and one as long as the model takes: the two ends of what will come.
_DEFAULT_INPUTS = (
    "ready",
    "Pinion serves this model from content-addressed storage.",
    "the quick brown fox jumps over the lazy dog " * 4,
)
_LONG_WORD = "word "
_QUEUED_TOKENS = 131_072  # the queue holds no fewer, however small a request must be


def _queue_tokens(limits: Limits) -> int:
    """Return how many tokens the queue holds: two of the largest requests, so that one leaves room for others."""
    return max(_QUEUED_TOKENS, 2 * limits.max_tokens_per_request)


async def _check(verify: Callable[[], Awaitable[object]]) -> None:
    try:
        await verify()
    except ContentError as error:
        raise EngineLoadError(str(error)) from error


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
        self._files = files  # what the CID covers, and where it lies
        limits = pod.limits
        self._queue = RequestQueue(
            limits.max_concurrent_requests,
            limits.max_queued_requests,
            max_tokens=_queue_tokens(limits),
            on_batch=self._batch_done,
        )
        self._supervisor = EngineSupervisor(
            EngineSpec(snapshot=snapshot, dtype=config.dtype),
            self._queue,
            on_death=self._died,
            on_recovered=self._recovered,
            check_again=partial(_check, verify) if verify else None,
        )
        self._tokenizer: Tokenizer | None = None
        self._model_files: ModelFiles | None = None
        self._capabilities: Capabilities | None = None

    async def load(self) -> None:
        """Start the engine and take its tokenizer; raise EngineLoadError."""
        started = time.monotonic()
        with stopwatch(self._pod, "load_seconds"):
            self._capabilities = await self._supervisor.start()
            # As the engine has it: transformers rebuilds parts of some tokenizers when it loads them.
            tokenizer_json = self._supervisor.tokenizer
            self._tokenizer = await asyncio.to_thread(
                Tokenizer.from_snapshot, self._snapshot, tokenizer_json, self._capabilities.special_ids
            )
            self._model_files = await asyncio.to_thread(read_model_files, self._snapshot)
        self._pod.metrics.load_seconds.labels(self._pod.metrics.model).observe(time.monotonic() - started)
        await asyncio.to_thread(self._check_opened, self._capabilities.opened_files)
        self._describe(self._capabilities)

    async def warm_up(self) -> None:
        """Compute real inputs, tokenised as requests are; raise the EngineError that came."""
        warmup = self._config.warmup
        if not warmup.enabled:
            self._pod.warm = Warm(skipped=True)
            return
        tokenizer = self._loaded_tokenizer()
        texts = warmup.inputs or (*_DEFAULT_INPUTS, _LONG_WORD * tokenizer.max_length)
        tokens = await tokenizer.encode_async(texts, truncate=True)
        try:
            with stopwatch(self._pod, "warmup_seconds"):
                report = await self._supervisor.warm_up(tokens, warmup.timeout_seconds)
        except EngineError as error:
            self._pod.warm = Warm(error=str(error))
            raise
        self._pod.warm = Warm(done=True, inputs=report.inputs, seconds=round(report.seconds, 3))

    def serve(self) -> None:
        """Let requests in."""
        if self._capabilities is None or self._model_files is None:
            raise RuntimeError("serve before load")
        self._pod.serving = Serving(self._loaded_tokenizer(), self._queue, self._capabilities, self._model_files)
        self._pod.metrics.watch_queue(lambda: (self._queue.queued_requests, self._queue.running_requests))
        self._supervisor.serve()

    def set_limits(self, limits: Limits) -> None:
        """Change the bounds of the queue."""
        self._queue.set_limits(limits.max_concurrent_requests, limits.max_queued_requests, _queue_tokens(limits))

    async def close(self) -> None:
        """End the engine; what still waits is told."""
        self._queue.close(EngineDied("the pod is shutting down"))
        await self._supervisor.close()

    def _check_opened(self, paths: Sequence[str]) -> None:
        # By their bytes: several paths may lead to the same blob, and only one of them be among the chosen files.
        covered = {os.path.realpath(file) for path, blob in self._files.items() for file in (blob, self._snapshot / path)}
        for path in paths:
            if os.path.realpath(self._snapshot / path) not in covered:
                raise EngineLoadError(f"the engine opened {path}, which is not among the files that the CID covers")

    def _loaded_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            raise RuntimeError("used before load")
        return self._tokenizer

    def _describe(self, capabilities: Capabilities) -> None:
        files = self._model_files
        assert files is not None
        self._pod.model = self._pod.model.model_copy(
            update={
                "pooling": files.pooling,
                "pooling_assumed": files.pooling_assumed,
                "task": capabilities.task,
                "architecture": capabilities.architecture,
                "engine": capabilities.engine,
                "engine_reason": capabilities.engine_reason,
                "dtype": capabilities.dtype,
                "device": capabilities.device,
                "dimensions": capabilities.dimensions,
                "max_sequence_length": capabilities.max_sequence_length,
            }
        )

    def _died(self, reason: str) -> None:
        _log.error("the engine died: %s", reason)
        self._pod.lifecycle.engine_died(reason)
        self._pod.engine_restarts = self._supervisor.restarts

    def _recovered(self, capabilities: Capabilities) -> None:
        lifecycle = self._pod.lifecycle
        self._pod.engine_restarts = self._supervisor.restarts
        self._pod.metrics.engine_restarts.labels(self._pod.metrics.model).inc()
        self._describe(capabilities)
        if lifecycle.phase is Phase.LOADING:
            lifecycle.to(Phase.WARMING_UP)
            lifecycle.to(Phase.READY)

    def _batch_done(self, stats: BatchStats) -> None:
        metrics = self._pod.metrics
        metrics.batch(stats.texts, stats.tokens)
        for seconds in stats.wait_seconds:
            metrics.waited(seconds)
