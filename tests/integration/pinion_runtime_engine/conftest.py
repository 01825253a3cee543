"""A real engine process with its supervisor and queue."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pinion_runtime.engines.protocol import Capabilities, EngineSpec
from pinion_runtime.engines.supervisor import EngineSupervisor
from pinion_runtime.engines.transformers import widening
from pinion_runtime.errors import EngineDied
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.scheduling.texts import BatchStats, RequestQueue

DEADLINE_SECONDS = 120.0


@dataclass
class RunningEngine:
    """What a server holds, and what it was told."""

    queue: RequestQueue
    supervisor: EngineSupervisor
    batches: list[BatchStats]
    deaths: list[str]
    recovered: asyncio.Event
    capabilities: Capabilities | None = None
    tokenizer: Tokenizer | None = None

    async def embed(self, *texts: str) -> NDArray[np.float32]:
        """Return the vectors of one request."""
        assert self.tokenizer is not None
        ids = self.tokenizer.encode(texts, truncate=True)
        result = await self.queue.submit(ids, deadline=time.monotonic() + DEADLINE_SECONDS)
        return np.stack([np.frombuffer(vector, "<f4") for vector in result.vectors])


@dataclass
class Engines:
    """Starts engines and ends them."""

    running: list[RunningEngine] = field(default_factory=list)

    def build(self, path: Path, *, silence_seconds: float = 20.0, **spec: Any) -> RunningEngine:
        """Return an engine that has not been started."""
        batches: list[BatchStats] = []
        deaths: list[str] = []
        recovered = asyncio.Event()
        queue = RequestQueue(64, 256, on_batch=batches.append)
        supervisor = EngineSupervisor(
            EngineSpec(path, **spec),
            queue,
            on_death=deaths.append,
            on_recovered=lambda _: recovered.set(),
            load_timeout=DEADLINE_SECONDS,
            backoff_seconds=(0.05, 1.0),
            silence_seconds=silence_seconds,
        )
        engine = RunningEngine(queue, supervisor, batches, deaths, recovered)
        self.running.append(engine)
        return engine

    async def start(self, path: Path, **spec: Any) -> RunningEngine:
        """Return an engine that serves."""
        engine = self.build(path, **spec)
        engine.capabilities = await engine.supervisor.start()
        engine.tokenizer = Tokenizer.from_snapshot(path, engine.supervisor.tokenizer)
        await engine.supervisor.warm_up(engine.tokenizer.encode(["ready", "a kettle sings"]), DEADLINE_SECONDS)
        engine.supervisor.serve()
        return engine

    async def close(self) -> None:
        """End all of them."""
        for engine in self.running:
            engine.queue.close(EngineDied("the test is over"))
            await engine.supervisor.close()


@pytest.fixture
async def engines() -> AsyncIterator[Engines]:
    """Engines that end with the test."""
    made = Engines()
    yield made
    await made.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a condition, for at most two minutes."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not condition():  # noqa: ASYNC110 - states of other processes set no event here
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def emulate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bool], None]:
    """Give engines of this process a processor that emulates half precision, or one that has arithmetic for it."""

    def tell(emulated: bool) -> None:
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text("flags\t\t: fpu avx2\n" if emulated else "flags\t\t: fpu avx2 avx512_bf16 avx512_fp16\n")
        monkeypatch.setattr(widening, "CPUINFO", cpuinfo)

    return tell
