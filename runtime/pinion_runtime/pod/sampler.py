"""Measures the process tree every few seconds, for status and metrics."""

import asyncio
import os
import time

from pinion_contract.status import MemoryState

from ..engines.memory_limit import cgroup_limit
from .memory import TreeUse, measure
from .state import Pod

_SECONDS = 5.0


async def sample(pod: Pod, seconds: float = _SECONDS) -> None:
    """Measure for ever."""
    before: tuple[float, TreeUse] | None = None
    processors = len(os.sched_getaffinity(0))
    while True:
        use, limit = await asyncio.to_thread(lambda: (measure(), cgroup_limit()))
        now = time.monotonic()
        share = 0.0
        if before is not None:
            # A process that ended meanwhile takes its time with it: never less than nothing.
            share = max(0.0, use.cpu_seconds - before[1].cpu_seconds) / (now - before[0]) / processors
        before = now, use
        pod.memory = MemoryState(resident_bytes=use.resident_bytes, limit_bytes=limit)
        pod.metrics.sampled(use, limit, share)
        await asyncio.sleep(seconds)
