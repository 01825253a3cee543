"""The engine as a process: it computes, dies, comes back, and ends with its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_runtime.errors import DeadlineExceeded, EngineDied, NonFiniteResult
from tests.support.models import SENTENCES, TinyModels
from tests.support.processes import has_ended

pytestmark = pytest.mark.model
WaitUntil = Callable[[Callable[[], bool]], Awaitable[None]]


def children_of(pid: int) -> list[int]:
    """Return the process ids of its children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_minilm_end_to_end(engines: Any, minilm: Path, reference: Callable[[Path], Any]) -> None:
    engine = await engines.start(minilm)
    capabilities = engine.capabilities
    assert (capabilities.dimensions, capabilities.max_sequence_length, capabilities.dtype) == (384, 256, "float32")
    assert (capabilities.engine, capabilities.architecture, capabilities.task) == (
        "transformers/padded",
        "BertModel",
        "feature-extraction",
    )
    assert {"config.json", "model.safetensors", "modules.json", "1_Pooling/config.json", "tokenizer.json"} <= set(
        capabilities.opened_files
    )
    assert all((minilm / name).is_file() for name in capabilities.opened_files)
    expected = np.stack([reference(minilm).encode([text])[0] for text in SENTENCES])
    together = await engine.embed(*SENTENCES)
    assert np.abs(together - expected).max() < 1e-5
    texts = ["a", ".", "1", "é", "heron " * 400]
    alone = {text: (await engine.embed(text))[0] for text in texts}
    load = [texts[number % 5] for number in range(200)]
    vectors = await asyncio.gather(*(engine.embed(text) for text in load[:64]), *(engine.embed(text) for text in load[64:]))
    for text, vector in zip(load, vectors, strict=True):
        assert np.abs(vector[0] - alone[text]).max() < 1e-5
        assert abs(np.linalg.norm(vector[0]) - 1) < 1e-5
    assert max(stats.texts for stats in engine.batches) > 1  # they shared batches
    assert all(stats.padded_tokens >= stats.tokens for stats in engine.batches)
    assert engine.supervisor.memory().resident_bytes > 50 << 20
    assert (engine.queue.queued_requests, engine.queue.running_requests) == (0, 0)


async def test_a_dead_engine_is_replaced_and_its_requests_are_told(
    engines: Any, tiny_models: TinyModels, wait_until: WaitUntil
) -> None:
    engine = await engines.start(tiny_models.make())
    before = await engine.embed("kettle")
    pid = engine.supervisor.pid
    os.kill(pid, signal.SIGSTOP)  # so that it surely holds the request when it dies
    held = asyncio.ensure_future(engine.embed("heron"))
    await wait_until(lambda: engine.queue.running_requests == 1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineDied, match="SIGKILL"):
        await held
    assert not engine.supervisor.alive
    assert "SIGKILL" in engine.deaths[0]
    waiting = asyncio.ensure_future(engine.embed("kettle"))  # comes while there is none
    async with asyncio.timeout(120):
        await engine.recovered.wait()
    assert engine.supervisor.alive
    assert engine.supervisor.restarts == 1
    assert engine.supervisor.pid != pid
    np.testing.assert_allclose(await waiting, before, atol=1e-6)
    assert len(engine.deaths) == 1


async def test_a_model_that_has_gone_keeps_it_trying_until_it_is_back(
    engines: Any, tiny_models: TinyModels, tmp_path: Path, wait_until: WaitUntil
) -> None:
    path = tiny_models.copy(tmp_path / "model")
    engine = await engines.start(path)
    before = await engine.embed("kettle")
    (path / "config.json").rename(path / "away.json")
    os.kill(engine.supervisor.pid, signal.SIGKILL)
    await wait_until(lambda: len(engine.deaths) >= 2)
    assert "config.json is missing" in engine.deaths[-1]
    (path / "away.json").rename(path / "config.json")
    async with asyncio.timeout(120):
        await engine.recovered.wait()
    np.testing.assert_allclose(await engine.embed("kettle"), before, atol=1e-6)


async def test_cancelled_and_late_requests_do_not_disturb_the_next(
    engines: Any, tiny_models: TinyModels, wait_until: WaitUntil
) -> None:
    engine = await engines.start(tiny_models.make())
    pid = engine.supervisor.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        gone = asyncio.ensure_future(engine.embed("kettle"))
        await wait_until(lambda: engine.queue.running_requests == 1)
        waiting = asyncio.ensure_future(engine.embed("heron"))
        with pytest.raises(DeadlineExceeded):
            await engine.queue.submit([[2, 5, 3]], deadline=time.monotonic() + 0.2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    await waiting
    assert [stats.texts for stats in engine.batches] == [1, 1]  # the late one was never sent
    assert engine.supervisor.pid == pid


async def test_not_finite_is_an_error_at_warm_up_and_later(engines: Any, tiny_models: TinyModels) -> None:
    engine = engines.build(tiny_models.make(scale_last_layer=1e6, normalize=False), dtype="float16")
    await engine.supervisor.start()
    with pytest.raises(NonFiniteResult):
        await engine.supervisor.warm_up([[2, 5, 3]], 60)
    engine.supervisor.serve()
    with pytest.raises(NonFiniteResult):
        await engine.queue.submit([[2, 5, 3]], deadline=time.monotonic() + 60)


async def test_the_engine_ends_when_told_and_ignores_interrupts(engines: Any, tiny_models: TinyModels) -> None:
    engine = await engines.start(tiny_models.make())
    pid = engine.supervisor.pid
    os.kill(pid, signal.SIGINT)
    assert (await engine.embed("kettle")).shape == (1, 32)
    assert os.getpgid(pid) != os.getpgid(0)
    await engine.supervisor.close()
    assert has_ended(pid)
    assert engine.deaths == []


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
async def test_an_engine_that_hangs_holds_up_no_end(
    engines: Any, tiny_models: TinyModels, wait_until: WaitUntil, busy: bool
) -> None:
    engine = await engines.start(tiny_models.make())
    pid = engine.supervisor.pid
    os.kill(pid, signal.SIGSTOP)
    asked = asyncio.ensure_future(engine.embed("kettle")) if busy else asyncio.ensure_future(asyncio.sleep(0))
    await wait_until(lambda: engine.queue.running_requests == int(busy))
    engine.queue.close(EngineDied("the pod is shutting down"))  # whoever waits is told
    told = time.monotonic()
    await engine.supervisor.close()
    assert time.monotonic() - told < 18  # less than its silence would take to be noticed
    assert has_ended(pid)
    await asyncio.gather(asked, return_exceptions=True)
    assert engine.deaths == []


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "still importing"])
async def test_the_engine_dies_with_its_parent(tiny_models: TinyModels, wait_until: WaitUntil, loaded: bool) -> None:
    code = """
import asyncio, pathlib, sys
from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.supervisor import EngineSupervisor
from pinion_runtime.scheduling.texts import RequestQueue

async def main():
    supervisor = EngineSupervisor(EngineSpec(pathlib.Path(sys.argv[1])), RequestQueue(1, 1), on_death=print, on_recovered=print)
    await supervisor.start()
    print(supervisor.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    arguments = [sys.executable, "-c", code, str(tiny_models.make())]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - exec takes a millisecond
    with parent:
        assert parent.stdout is not None
        await wait_until(lambda: children_of(parent.pid) != [])
        pid = int(await asyncio.to_thread(parent.stdout.readline)) if loaded else children_of(parent.pid)[0]
        assert not has_ended(pid)
        parent.kill()
    await wait_until(lambda: has_ended(pid))
