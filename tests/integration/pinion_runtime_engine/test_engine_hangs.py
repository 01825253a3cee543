"""An engine that hangs is replaced; one that is only slow is left alone; an input that it chokes on fails alone."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_runtime.errors import ComputeFailed, EngineDied
from tests.support.models import TinyModels

pytestmark = pytest.mark.model

SILENCE = 12.0  # seconds


def pid_exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_stopped_engine_is_noticed_by_its_silence_and_replaced(engines: Any, tiny_models: TinyModels) -> None:
    engine = await engines.start(tiny_models.make(), silence_seconds=SILENCE)
    before = await engine.embed("kettle")
    pid = engine.supervisor.pid
    os.kill(pid, signal.SIGSTOP)
    held = asyncio.ensure_future(engine.embed("heron"))
    with pytest.raises(EngineDied, match="silent for more than 12 s"):
        await held
    assert not engine.supervisor.alive
    async with asyncio.timeout(120):
        await engine.recovered.wait()
    assert engine.supervisor.pid != pid
    assert not pid_exists(pid)
    np.testing.assert_allclose(await engine.embed("kettle"), before, atol=1e-6)


async def test_a_slow_batch_of_a_living_engine_is_waited_for(engines: Any, tiny_models: TinyModels) -> None:
    engine = await engines.start(tiny_models.make(), silence_seconds=SILENCE)
    pid = engine.supervisor.pid
    # Stopped for most of the time it needs far longer than the silence that is allowed, yet its heart beats in between.
    texts = ["heron " * 40] * 200
    waiting = asyncio.ensure_future(engine.embed(*texts))
    started = time.monotonic()
    while time.monotonic() - started < 1.5 * SILENCE:
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(SILENCE / 4)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(SILENCE / 8)
    assert (await waiting).shape == (200, 32)
    assert engine.deaths == []
    assert engine.supervisor.pid == pid


async def test_a_front_that_was_held_up_blames_no_engine(engines: Any, tiny_models: TinyModels) -> None:
    engine = await engines.start(tiny_models.make(), silence_seconds=9.0)
    pid = engine.supervisor.pid
    for _ in range(2):
        waiting = asyncio.ensure_future(engine.embed(*["heron " * 40] * 20))
        await asyncio.sleep(0)  # it is with the engine, whose answer lies unread while nothing runs here
        time.sleep(11.0)  # noqa: ASYNC251 - a loop that is held up is what this is about
        assert (await waiting).shape == (20, 32)
    assert engine.deaths == []
    assert engine.supervisor.pid == pid


async def test_an_input_that_breaks_the_forward_pass_fails_alone(engines: Any, tiny_models: TinyModels) -> None:
    engine = await engines.start(tiny_models.make())
    pid, before = engine.supervisor.pid, await engine.embed("kettle")
    good = [asyncio.ensure_future(engine.embed("kettle")) for _ in range(10)]
    beyond = 1_000_000  # a row that the table of embeddings does not have: the front lets no such id pass
    deadline = time.monotonic() + 120
    bad = [asyncio.ensure_future(engine.queue.submit([[2, 5, 3], [2, beyond, 3]], deadline=deadline)) for _ in range(3)]
    good += [asyncio.ensure_future(engine.embed("kettle")) for _ in range(10)]
    for failed in await asyncio.gather(*bad, return_exceptions=True):
        assert isinstance(failed, ComputeFailed)
        assert "IndexError" in str(failed)
    for vectors in await asyncio.gather(*good):
        assert np.abs(vectors - before).max() < 1e-5
    assert engine.supervisor.pid == pid
    assert engine.deaths == []
    assert (engine.queue.queued_requests, engine.queue.running_requests) == (0, 0)
