"""Sixteen streams for minutes: engines that are killed again and again, clients that go; nothing is lost, nothing is kept."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from pinion_contract import metric_names as names
from pinion_contract.status import Phase
from tests.support.decoders import make_decoder
from tests.support.held_up import memory_of
from tests.support.hub import Hub
from tests.support.processes import engine_of
from tests.support.serve import Serve, Served, eventually
from tests.support.streams import CONTEXT, NAME, SEQUENCES, Refused, answer, body, last_of, start

pytestmark = [pytest.mark.chaos, pytest.mark.model]

STREAMS = 16  # at a time: half of them are generated, the others wait
WHOLE, BROKEN, GONE = "whole", "an error event", "the client went"
PATIENCE = 600.0  # seconds, also without an event, its turn included: longer is a stream that neither goes on nor ends
FRONT_GROWTH = 32 << 20  # from one round to the last, once all kinds of answers have been given
ENGINE_GROWTH = 128 << 20  # the same, between two times that memory is given back


@pytest.fixture(scope="module")
def served(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = make_decoder(tmp_path_factory.mktemp("decoder") / NAME, "llama", max_position_embeddings=CONTEXT)
    starter = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    try:
        yield start(starter, folder, "--request-timeout-seconds", "3600", seconds=PATIENCE)  # a busy machine breaks nothing off
    finally:
        starter.stop_all()


async def ask(served: Served, dice: random.Random, begun: asyncio.Semaphore, *, leaves: bool) -> str:
    """Read one stream to its end, or go in the midst of it; return how it ended. A server without an engine is asked again."""
    request = body(dice.randrange(100), max_tokens=dice.choice((1, 20, 100, 300)))
    while True:
        try:
            async with asyncio.timeout(dice.uniform(0, 3) if leaves else None):
                before, end = await last_of(served, request, begun, PATIENCE)
        except Refused as refused:
            if refused.status != 503:
                raise
            await asyncio.sleep(0.2)
        except TimeoutError:
            return GONE
        else:
            break
    if end == "[DONE]":
        assert before["choices"][0]["finish_reason"] == "length"
        return WHOLE
    assert (before["error"]["code"], end) == ("engine_died", "broken off")
    return BROKEN


@asynccontextmanager
async def asked_all_the_time(
    served: Served, dice: random.Random, ended: Counter[str], leaving: float = 0.0
) -> AsyncIterator[asyncio.Semaphore]:
    """Keep sixteen streams up while the block runs, and count their ends; yields what each that begins releases."""
    over, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def keep_asking() -> None:
        while not over.is_set():
            ended[await ask(served, dice, begun, leaves=dice.random() < leaving)] += 1

    async with asyncio.TaskGroup() as asking:
        for _ in range(STREAMS):
            asking.create_task(keep_asking())
        try:
            yield begun
        finally:
            over.set()


async def nothing_is_kept(served: Served) -> None:
    """Wait until no place is taken; then as many streams as there are places begin at once."""
    await eventually(lambda: served.status().queue.running_requests == 0, PATIENCE, "no request is with an engine")
    assert served.status().queue.queued_requests == 0
    await eventually(lambda: served.metric(names.SEQUENCES_RUNNING) == 0, PATIENCE, "no sequence is generated")
    begun = asyncio.Semaphore(0)
    streams = [asyncio.ensure_future(last_of(served, body(seed), begun)) for seed in range(SEQUENCES)]
    for _ in streams:
        await asyncio.wait_for(begun.acquire(), PATIENCE)
    assert served.metric(names.SEQUENCES_RUNNING) == SEQUENCES
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await eventually(lambda: served.status().queue.running_requests == 0, PATIENCE, "all places are free again")


@pytest.mark.timeout(7200)
async def test_engines_that_are_killed_again_and_again(served: Served, rounds: int, dice: random.Random) -> None:
    expected, restarts = await answer(served), served.status().engine_restarts
    ended, held = Counter[str](), []
    async with asked_all_the_time(served, dice, ended) as begun:
        for number in range(rounds):
            for _ in range(dice.randint(1, 2 * STREAMS)):
                await begun.acquire()
            os.kill(engine_of(served), signal.SIGKILL)
            await eventually(
                lambda known=restarts + number: served.status().engine_restarts > known, PATIENCE, "another engine"
            )
            served.wait_for(Phase.READY, seconds=PATIENCE)
            assert await answer(served) == expected
            held.append(memory_of(served.process.pid))
            print(f"round {number}: {dict(ended)}, front {held[-1] >> 20} MiB", flush=True)
    assert ended[BROKEN] >= rounds
    assert ended[WHOLE] > 0
    assert served.status().engine_restarts == restarts + rounds
    await nothing_is_kept(served)
    assert max(held) - held[0] < FRONT_GROWTH, held


@pytest.mark.timeout(7200)
async def test_clients_that_go_in_the_midst_of_their_streams(served: Served, rounds: int, dice: random.Random) -> None:
    expected, engine, ended = await answer(served), engine_of(served), Counter[str]()
    held: list[tuple[int, int]] = []
    for number in range(rounds):
        async with asked_all_the_time(served, dice, ended, leaving=0.9) as begun:
            for _ in range(4 * STREAMS):
                await begun.acquire()
        await nothing_is_kept(served)
        assert await answer(served) == expected
        held.append((memory_of(served.process.pid), memory_of(engine)))
        print(f"round {number}: {dict(ended)}, MiB {[size >> 20 for size in held[-1]]}", flush=True)
    assert ended[GONE] > rounds
    assert engine_of(served) == engine
    for sizes, bound in zip(zip(*held, strict=True), (FRONT_GROWTH, ENGINE_GROWTH), strict=True):
        assert max(sizes) - sizes[0] < bound, held
