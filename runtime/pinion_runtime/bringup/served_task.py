"""What is particular to a task: its queue, what a model is warmed up with, and what of it can be asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pinion_contract.config import Limits

from ..engines.protocol import Capabilities, WorkSource
from ..engines.warm_up import NEW_TOKENS
from ..errors import EngineDied
from ..model.chat_template_files import ChatTemplates, read_chat_templates
from ..model.files import ModelFiles
from ..model.sampling_defaults import SamplingDefaults, read_sampling_defaults
from ..model.task import Task
from ..model.template_runner import TemplateRunner
from ..model.tokenizing import Tokenizer
from ..pod.state import Chat, Pod, Serving, TextServing, VectorServing
from ..scheduling.sequences import PassStats, SequenceQueue
from ..scheduling.texts import BatchStats, RequestQueue

# Short inputs and one as long as the model takes: the two ends of what will come.
_INPUTS = (
    "ready",
    "Pinion serves this model from content-addressed storage.",
    "the quick brown fox jumps over the lazy dog " * 4,
)
_LONG_WORD = "word "
_LONGEST_PROMPT = 2048  # tokens of the longest prompt of a warm-up: no pass is larger, whatever the context
_ENDING = EngineDied("the pod is shutting down")
_QUEUED_TOKENS = 131_072  # a queue holds no fewer, however small a request must be


class Queue(WorkSource, Protocol):
    """A queue as bring-up sees it."""

    @property
    def queued_requests(self) -> int:
        """Requests that wait."""

    @property
    def running_requests(self) -> int:
        """Requests that an engine has begun."""


class ServedTask(Protocol):
    """One task of one model."""

    @property
    def queue(self) -> Queue:
        """Return where requests wait."""

    def set_limits(self, limits: Limits) -> None:
        """Change the bounds of the queue."""

    async def warmup_ids(self, tokenizer: Tokenizer, inputs: Sequence[str], capabilities: Capabilities) -> list[list[int]]:
        """Return token ids of these inputs, or of ours, tokenised as those of requests."""

    async def serving(self, tokenizer: Tokenizer, capabilities: Capabilities, files: ModelFiles) -> Serving:
        """Return what can be asked."""

    def renewed(self, serving: Serving, capabilities: Capabilities) -> Serving:
        """Return what can be asked of an engine that has taken the place of another: memory may give it less, or more."""

    async def close(self) -> None:
        """End what is the task's own; what still waits is told."""


def _queue_tokens(limits: Limits) -> int:
    """Return how many tokens a queue holds: two of the largest requests, so that one leaves room for others."""
    return max(_QUEUED_TOKENS, 2 * limits.max_tokens_per_request)


class _Vectors:
    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        limits = pod.limits
        self.queue = RequestQueue(
            limits.max_concurrent_requests,
            limits.max_queued_requests,
            max_tokens=_queue_tokens(limits),
            on_batch=self._batch_done,
        )

    def set_limits(self, limits: Limits) -> None:
        self.queue.set_limits(limits.max_concurrent_requests, limits.max_queued_requests, _queue_tokens(limits))

    async def warmup_ids(self, tokenizer: Tokenizer, inputs: Sequence[str], capabilities: Capabilities) -> list[list[int]]:
        texts = inputs or (*_INPUTS, _LONG_WORD * tokenizer.max_length)
        return await tokenizer.encode_async(texts, truncate=True)

    async def close(self) -> None:
        self.queue.close(_ENDING)

    async def serving(self, tokenizer: Tokenizer, capabilities: Capabilities, files: ModelFiles) -> Serving:
        return VectorServing(tokenizer, capabilities, files, self.queue)

    def renewed(self, serving: Serving, capabilities: Capabilities) -> Serving:
        return replace(serving, capabilities=capabilities)

    def _batch_done(self, stats: BatchStats) -> None:
        metrics = self._pod.metrics
        metrics.batch(stats.texts, stats.tokens)
        for seconds in stats.wait_seconds:
            metrics.waited(seconds)


class _Text:
    def __init__(self, pod: Pod, sampling: SamplingDefaults, templates: ChatTemplates) -> None:
        self._pod = pod
        self._sampling = sampling
        self._sources = templates.by_name
        self._templates = TemplateRunner(templates)
        limits = pod.limits
        self.queue = SequenceQueue(
            limits.max_concurrent_requests, limits.max_queued_requests, _queue_tokens(limits), on_pass=self._passed
        )

    def set_limits(self, limits: Limits) -> None:
        self.queue.set_limits(limits.max_concurrent_requests, limits.max_queued_requests, _queue_tokens(limits))

    async def warmup_ids(self, tokenizer: Tokenizer, inputs: Sequence[str], capabilities: Capabilities) -> list[list[int]]:
        most = min(max(capabilities.context_length - NEW_TOKENS, 1), _LONGEST_PROMPT)
        prompts = await tokenizer.encode_async(inputs or (*_INPUTS, _LONG_WORD * most), truncate=True, prompt="")
        return [prompt[:most] for prompt in prompts if prompt]

    async def close(self) -> None:
        self.queue.close(_ENDING)
        await self._templates.close()

    async def serving(self, tokenizer: Tokenizer, capabilities: Capabilities, files: ModelFiles) -> Serving:
        self._watch_cache(capabilities)
        probe = await self._templates.probe()
        self._pod.model = self._pod.model.model_copy(update={"chat": not probe.error, "chat_reason": probe.error})
        chat = Chat(self._templates, probe, await asyncio.to_thread(tokenizer.chat_encoder, self._sources))
        return TextServing(tokenizer, capabilities, files, self.queue, self._sampling, chat)

    def renewed(self, serving: Serving, capabilities: Capabilities) -> Serving:
        self._watch_cache(capabilities)
        return replace(serving, capabilities=capabilities)

    def _watch_cache(self, capabilities: Capabilities) -> None:
        queue, capacity = self.queue, capabilities.context_length * capabilities.max_sequences
        self._pod.metrics.generation.watch(lambda: (queue.running_sequences, queue.used_tokens), capacity)

    def _passed(self, stats: PassStats) -> None:
        for seconds in stats.wait_seconds:
            self._pod.metrics.waited(seconds)
        for seconds in stats.first_seconds:
            self._pod.metrics.generation.first_token(seconds)
        for seconds in stats.next_seconds:
            self._pod.metrics.generation.next_token(seconds)


async def make_task(task: Task, pod: Pod, folder: Path) -> ServedTask:
    """Return the task of a model whose config.json lies in `folder`; raise EngineLoadError."""
    if task == "text-generation":
        return await asyncio.to_thread(lambda: _Text(pod, read_sampling_defaults(folder), read_chat_templates(folder)))
    return _Vectors(pod)
