"""Real inference past the queue, before an engine takes work."""

import itertools
import time
from collections.abc import Iterator, Sequence

from ..errors import DeadlineExceeded
from ..model.task import Task
from .process import EngineProcess
from .protocol import Batch, Generate, Part, Sampling, WarmupReport
from .token_bytes import int32_bytes

_BATCH_TOKENS = 2048
NEW_TOKENS = 2  # the first comes of the prompt's pass, the second of one like all that follow
_REQUEST_ID = "warm-up"
_GREEDY = Sampling(temperature=0.0)


async def warm_up(
    process: EngineProcess, task: Task, token_ids: Sequence[Sequence[int]], timeout: float, context_length: int
) -> WarmupReport:
    """Compute these inputs as the task does; raise the EngineError that came, DeadlineExceeded after `timeout` seconds."""
    started = time.monotonic()
    deadline = started + timeout
    try:
        if task == "text-generation":
            await _generate(process, token_ids, deadline, context_length)
        else:
            await _embed(process, token_ids, deadline)
    except TimeoutError as error:
        raise DeadlineExceeded(f"warm-up took more than {timeout:g} s") from error
    return WarmupReport(len(token_ids), sum(map(len, token_ids)), time.monotonic() - started)


async def _embed(process: EngineProcess, token_ids: Sequence[Sequence[int]], deadline: float) -> None:
    for number, texts in enumerate(_slices(token_ids), 1):
        packed = [int32_bytes(text) for text in texts]
        lengths = [len(text) for text in texts]
        part = Part(0, _REQUEST_ID, deadline, len(texts), sum(lengths))
        batch = Batch(-number, [part], int32_bytes(lengths), b"".join(packed))  # the queue's batches count upwards
        done = await process.compute(batch, deadline - time.monotonic())
        for outcome in done.outcomes:
            if outcome.failure is not None:
                raise outcome.failure.to_error()


async def _generate(process: EngineProcess, prompts: Sequence[Sequence[int]], deadline: float, context_length: int) -> None:
    for key, prompt in zip(itertools.count(-1, -1), prompts, strict=False):  # the queue's keys count upwards
        new_tokens = min(NEW_TOKENS, context_length - len(prompt))  # the smallest context has room for one
        request = Generate(key, _REQUEST_ID, deadline, int32_bytes(prompt), new_tokens, _GREEDY, ignore_end=True)
        await process.generate(request, deadline - time.monotonic())


def _slices(token_ids: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Cut inputs into batches of a bounded number of tokens."""
    batch: list[Sequence[int]] = []
    tokens = 0
    for text in token_ids:
        if batch and tokens + len(text) > _BATCH_TOKENS:
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += len(text)
    if batch:
        yield batch
