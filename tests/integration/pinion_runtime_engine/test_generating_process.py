"""A real generating engine process with its supervisor and the queue of prompts."""

import asyncio
import os
import signal
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pinion_runtime.engines.protocol import Capabilities, EngineSpec, Generate, Sampling
from pinion_runtime.engines.supervisor import EngineSupervisor
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.errors import DeadlineExceeded, EngineDied, EngineLoadError
from pinion_runtime.scheduling.sequences import Generation, SequenceQueue
from tests.support.decoders import Decoders, prompt_of
from tests.support.processes import has_ended

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one engine for all of them

PATIENCE = 120.0
GREEDY = Sampling(temperature=0.0)
CONTEXT = 4096
SILENCE = 12.0  # seconds
ENDLESS = CONTEXT - 96  # an answer of so many tokens does not end while a test looks at it


@dataclass
class Generating:
    """What a server holds of a generating engine."""

    queue: SequenceQueue
    supervisor: EngineSupervisor
    recovered: asyncio.Event
    deaths: list[str]
    capabilities: Capabilities

    def submit(self, prompt: Sequence[int], answer: int, *, seconds: float = PATIENCE, **fields: Any) -> Generation:
        sampling = fields.pop("sampling", GREEDY)
        deadline = time.monotonic() + seconds
        return self.queue.submit(Generate(0, "test", deadline, int32_bytes(prompt), answer, sampling, **fields))

    async def answer(self, prompt: Sequence[int], answer: int = 8, **fields: Any) -> list[int]:
        """Return the ids of the first choice."""
        with self.submit(prompt, answer, **fields) as generation:
            return [number async for step in generation if not step.choice for number in array("i", step.ids)]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Decoders(tmp_path_factory.mktemp("decoders")).make("llama", max_position_embeddings=CONTEXT)


@asynccontextmanager
async def generating(llama: Path, **supervision: Any) -> AsyncIterator[Generating]:
    queue = SequenceQueue(64, 256, 100_000)
    recovered = asyncio.Event()
    deaths: list[str] = []
    supervisor = EngineSupervisor(
        EngineSpec(llama, task="text-generation", max_sequences=4, context_length=CONTEXT),
        queue,
        on_death=deaths.append,
        on_recovered=lambda _: recovered.set(),
        load_timeout=PATIENCE,
        backoff_seconds=(0.05, 1.0),
        **supervision,
    )
    try:
        capabilities = await supervisor.start()
        report = await supervisor.warm_up([prompt_of(3), prompt_of(100)], PATIENCE)
        assert (report.inputs, report.tokens) == (2, 103)
        supervisor.serve()
        yield Generating(queue, supervisor, recovered, deaths, capabilities)
    finally:
        queue.close(EngineDied("the test is over"))
        await supervisor.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(llama: Path) -> AsyncIterator[Generating]:
    async with generating(llama) as made:
        yield made


async def test_it_says_what_it_is(engine: Generating, llama: Path) -> None:
    said = engine.capabilities
    assert (said.task, said.engine, said.engine_reason) == ("text-generation", "transformers/slots", "")
    assert (said.context_length, said.max_sequences, said.end_ids) == (CONTEXT, 4, (2,))
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(said.opened_files)
    assert engine.supervisor.memory().resident_bytes > 50 << 20


async def test_answers_do_not_depend_on_company(engine: Generating) -> None:
    prompts = [prompt_of(length, seed=length) for length in (1, 4, 40, 90, 7, 60)]
    alone = [await engine.answer(prompt) for prompt in prompts]
    assert all(len(answer) == 8 for answer in alone)
    assert await asyncio.gather(*(engine.answer(prompt) for prompt in prompts)) == alone
    assert await asyncio.gather(*(engine.answer(prompt) for prompt in reversed(prompts))) == alone[::-1]


async def test_choices_of_one_seed_differ_and_come_again(engine: Generating) -> None:
    async def draw() -> list[list[int]]:
        answers: list[list[int]] = [[], [], []]
        with engine.submit(prompt_of(20), 12, choices=3, sampling=Sampling(seed=7)) as generation:
            async for step in generation:
                answers[step.choice] += array("i", step.ids)
        return answers

    first = await draw()
    assert len({tuple(answer) for answer in first}) == 3
    assert await draw() == first


async def test_who_leaves_frees_its_place(engine: Generating) -> None:
    held = [engine.submit(prompt_of(5, seed=seed), ENDLESS) for seed in range(4)]
    await asyncio.gather(*(anext(generation) for generation in held))
    waiting = asyncio.ensure_future(engine.answer(prompt_of(6), 2))
    await asyncio.sleep(0)
    assert engine.queue.queued_requests == 1
    with held[0]:
        pass
    assert len(await waiting) == 2
    for generation in held[1:]:
        with generation:
            pass


async def test_a_deadline_ends_a_long_answer(engine: Generating) -> None:
    with pytest.raises(DeadlineExceeded):
        await engine.answer(prompt_of(2), ENDLESS, seconds=0.02)
    assert len(await engine.answer(prompt_of(3), 4)) == 4


async def test_a_killed_engine_ends_what_it_had_and_the_next_answer_is_right(engine: Generating) -> None:
    expected = await engine.answer(prompt_of(9))
    held = [engine.submit(prompt_of(5, seed=seed), ENDLESS if seed < 4 else 120) for seed in range(6)]  # four run and two wait
    for generation in held[:4]:
        await anext(generation)
    assert engine.supervisor.pid is not None
    os.kill(engine.supervisor.pid, signal.SIGKILL)
    for generation in held[:4]:
        with pytest.raises(EngineDied, match="SIGKILL"):
            [step async for step in generation]
    async with asyncio.timeout(PATIENCE):
        await engine.recovered.wait()
        assert await engine.answer(prompt_of(9)) == expected
        for generation in held[4:]:
            assert [step async for step in generation][-1].finish == "length"
    assert (len(engine.deaths), engine.supervisor.restarts) == (1, 1)
    engine.recovered.clear()


async def test_a_stopped_engine_is_noticed_by_its_silence_and_replaced(llama: Path) -> None:
    async with generating(llama, silence_seconds=SILENCE) as engine:
        expected = await engine.answer(prompt_of(9))
        pid = engine.supervisor.pid
        assert pid is not None
        held = [engine.submit(prompt_of(5, seed=seed), ENDLESS if seed < 4 else 120) for seed in range(6)]
        for generation in held[:4]:
            await anext(generation)
        os.kill(pid, signal.SIGSTOP)
        for generation in held[:4]:
            with pytest.raises(EngineDied, match="silent for more than 12 s"):
                [step async for step in generation]
        assert not engine.supervisor.alive
        async with asyncio.timeout(PATIENCE):
            await engine.recovered.wait()
            assert await engine.answer(prompt_of(9)) == expected
            for generation in held[4:]:  # they only waited
                assert [step async for step in generation][-1].finish == "length"
        assert engine.supervisor.pid != pid
        assert has_ended(pid)
        assert (len(engine.deaths), engine.supervisor.restarts) == (1, 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [({"context_length": 1}, "context"), ({"max_sequences": 10**9}, "1000000000 sequences .* MiB of cache")],
)
async def test_what_can_not_be_is_told_at_load(llama: Path, spec: dict[str, int], message: str) -> None:
    queue = SequenceQueue(1, 1, 1000)
    supervisor = EngineSupervisor(
        EngineSpec(llama, task="text-generation", **spec), queue, on_death=print, on_recovered=print, load_timeout=PATIENCE
    )
    with pytest.raises(EngineLoadError, match=message):
        await supervisor.start()


async def test_the_smallest_context_is_warmed_up_and_serves(llama: Path) -> None:
    queue = SequenceQueue(4, 4, 1000)
    spec = EngineSpec(llama, task="text-generation", context_length=2, max_sequences=1)
    supervisor = EngineSupervisor(spec, queue, on_death=print, on_recovered=print, load_timeout=PATIENCE)
    smallest = Generating(queue, supervisor, asyncio.Event(), [], await supervisor.start())
    try:
        assert (await supervisor.warm_up([[5]], PATIENCE)).tokens == 1
        supervisor.serve()
        assert len(await smallest.answer([5], 1)) == 1
    finally:
        queue.close(EngineDied("the test is over"))
        await supervisor.close()
