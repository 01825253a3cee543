"""Streams while something breaks: an engine, a client, the pod, a limit; each ends as it should, and what follows is right."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import openai
import pytest

from pinion_contract import metric_names as names
from pinion_contract.status import Phase
from tests.support.decoders import make_decoder
from tests.support.hub import Hub
from tests.support.processes import engine_of
from tests.support.serve import Serve, Served, eventually
from tests.support.streams import CONTEXT, NAME, PATIENCE, SEQUENCES, answer, body, last_of, start, stream

pytestmark = pytest.mark.model

PLACES, WAITING, MANY = 16, 4, 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_decoder(tmp_path_factory.mktemp("decoder") / NAME, "llama", max_position_embeddings=CONTEXT)
    (made / "chat_template.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    return made


@pytest.fixture
def starter(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    made = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    try:
        yield made
    finally:
        made.stop_all()


@pytest.fixture(scope="module")
def served(hub: Hub, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    try:
        yield start(made, folder, "--max-sequences", str(PLACES))
    finally:
        made.stop_all()


async def test_a_killed_engine_ends_each_stream_with_an_error_and_the_next_answer_is_right(served: Served) -> None:
    """What only waited had lost nothing: the next engine answers it."""
    expected, restarts = await answer(served), served.status().engine_restarts
    errors = served.metric(names.ANSWERS_TOTAL, finish_reason="error")
    begun = asyncio.Semaphore(0)
    streams = [asyncio.ensure_future(last_of(served, body(seed), begun)) for seed in range(PLACES)]
    for _ in streams:
        await begun.acquire()
    waiting = [asyncio.ensure_future(last_of(served, body(seed, max_tokens=40), begun)) for seed in range(WAITING)]
    await eventually(lambda: served.status().queue.queued_requests == WAITING, PATIENCE, "the others wait")
    os.kill(engine_of(served), signal.SIGKILL)
    for error, end in await asyncio.gather(*streams):
        assert (error["error"]["code"], end) == ("engine_died", "broken off")
    for usual, end in await asyncio.gather(*waiting):
        assert (usual["choices"][0]["finish_reason"], end) == ("length", "[DONE]")
    served.wait_for(Phase.READY)
    assert await answer(served) == expected
    assert served.status().engine_restarts == restarts + 1
    assert served.metric(names.ANSWERS_TOTAL, finish_reason="error") == errors + PLACES


async def test_what_runs_and_what_waits_is_told_while_it_does(served: Served) -> None:
    begun = asyncio.Semaphore(0)
    streams = [asyncio.ensure_future(last_of(served, body(seed), begun)) for seed in range(PLACES + WAITING)]
    for _ in range(PLACES):
        await begun.acquire()
    await eventually(lambda: served.metric(names.QUEUE_DEPTH, state="waiting") == WAITING, PATIENCE, "the others wait")
    told = {
        (name, labels.get("state", "")): value
        for name, samples in served.metrics().items()  # of one moment
        for labels, value in samples
        if name in (names.QUEUE_DEPTH, names.SEQUENCES_RUNNING, names.KV_CACHE_TOKENS)
    }
    used, free = told.pop((names.KV_CACHE_TOKENS, "used")), told.pop((names.KV_CACHE_TOKENS, "free"))
    running = {(names.QUEUE_DEPTH, "running"): PLACES, (names.SEQUENCES_RUNNING, ""): PLACES}
    assert told == {(names.QUEUE_DEPTH, "waiting"): WAITING, **running}
    assert used >= 3 * PLACES, "each has its prompt there at least"
    assert used + free == PLACES * CONTEXT
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await eventually(lambda: served.metric(names.KV_CACHE_TOKENS, state="used") == 0, PATIENCE, "the cache is free")
    assert served.metric(names.QUEUE_DEPTH) == served.metric(names.SEQUENCES_RUNNING) == 0


async def test_what_is_refused_does_not_disturb_who_is_answered(served: Served) -> None:
    """What killed the engines of others, before ours sees it: echoed log-probabilities without an answer, impossible biases."""
    expected, restarts = await answer(served), served.status().engine_restarts
    echoed = {"echo": True, "logprobs": 1, "max_tokens": 0}
    biases: list[dict[str, float | None]] = [{"99999999": 1}, {"cat": -1}, {"-1": 5}, {"5": None}, {"5": 1e308}]
    wrong = [echoed, {**echoed, "top_k": 1}] * 10 + [{"logit_bias": bias} for bias in biases]
    asked = [asyncio.to_thread(served.post, body(stream=False) | each, path="/v1/completions") for each in wrong]
    answered, *refused = await asyncio.gather(answer(served), *asked)
    assert answered == expected
    found = [(one.status_code, one.json()["error"]["param"].partition(".")[0]) for one in refused]
    assert found == [(400, "logprobs")] * 20 + [(400, "logit_bias")] * len(biases)
    assert await answer(served) == expected
    assert served.status().engine_restarts == restarts


async def test_a_client_that_goes_frees_its_place(served: Served) -> None:
    begun = asyncio.Semaphore(0)
    streams = [asyncio.ensure_future(last_of(served, body(seed), begun)) for seed in range(PLACES)]
    for _ in streams:
        await begun.acquire()
    assert served.metric(names.SEQUENCES_RUNNING) == PLACES
    cancelled = served.metric(names.ANSWERS_TOTAL, finish_reason="cancelled")
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await eventually(lambda: served.status().queue.running_requests == 0, PATIENCE, "the places are free")
    assert len(await answer(served)) > 0
    assert served.metric(names.REQUESTS_TOTAL, status="499") >= PLACES
    assert served.metric(names.ANSWERS_TOTAL, finish_reason="cancelled") == cancelled + PLACES


@pytest.mark.parametrize("chat", [False, True])
def test_the_official_client_raises_what_the_event_says(served: Served, chat: bool) -> None:
    with openai.OpenAI(base_url=f"{served.base}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client:
        asked: Any = {"model": NAME, "max_tokens": CONTEXT - 20, "temperature": 0, "stream": True}
        asked["extra_body"] = {"ignore_eos": True}
        if chat:
            chunks = client.chat.completions.create(messages=[{"role": "user", "content": "A heron"}], **asked)
        else:
            chunks = client.completions.create(prompt="A heron", **asked)
        next(iter(chunks))
        os.kill(engine_of(served), signal.SIGKILL)
        with pytest.raises(openai.APIError, match="engine died"):
            list(chunks)
    served.wait_for(Phase.READY)


async def test_what_is_too_much_is_refused_at_once_and_in_order(starter: Serve, folder: Path) -> None:
    served = start(starter, folder, "--max-queued-requests", "1")
    begun = asyncio.Semaphore(0)
    streams = [asyncio.ensure_future(last_of(served, body(seed), begun)) for seed in range(SEQUENCES + 1)]
    for _ in range(SEQUENCES):
        await begun.acquire()
    await eventually(lambda: served.status().queue.queued_requests == 1, PATIENCE, "one waits")
    full = await asyncio.to_thread(served.post, body(51), path="/v1/completions")
    assert (full.status_code, full.json()["error"]["code"]) == (429, "queue_full")
    assert 1 <= int(full.headers["retry-after"]) <= 120
    never = await asyncio.to_thread(served.post, body(51, max_tokens=CONTEXT), path="/v1/completions")
    assert (never.status_code, never.json()["error"]["code"]) == (429, "queue_full"), "nothing is looked at that has no place"
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await eventually(lambda: served.status().queue.running_requests == 0, PATIENCE, "the places are free")
    never = await asyncio.to_thread(served.post, body(51, max_tokens=CONTEXT), path="/v1/completions")
    assert (never.status_code, never.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_deadline_and_the_end_of_the_grace_period_are_told_in_the_stream(starter: Serve, folder: Path) -> None:
    context = ("--context-length", str(CONTEXT - 64))
    served = start(starter, folder, "--request-timeout-seconds", "12", "--grace-seconds", "2", *context)
    assert served.status().model.context_length == CONTEXT - 64
    begun = asyncio.Semaphore(0)
    (error, end), whole = await asyncio.gather(
        last_of(served, body(), begun), asyncio.to_thread(served.post, body(stream=False), path="/v1/completions")
    )
    assert (error["error"]["code"], end) == ("deadline_exceeded", "broken off")
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "deadline_exceeded")
    endless = asyncio.ensure_future(last_of(served, body(1), begun))
    await begun.acquire()
    await begun.acquire()
    served.terminate()
    error, end = await endless
    assert (error["error"]["code"], end) == ("shutting_down", "broken off")
    assert served.wait_ended() == 0


async def test_streams_end_within_the_grace_period(starter: Serve, folder: Path) -> None:
    served = start(starter, folder, "--grace-seconds", "60")
    begun = asyncio.Semaphore(0)
    finishing = [asyncio.ensure_future(last_of(served, body(seed, max_tokens=400), begun)) for seed in range(4)]
    for _ in finishing:
        await begun.acquire()
    served.terminate()
    for usual, end in await asyncio.gather(*finishing):
        assert (usual["choices"][0]["finish_reason"], end) == ("length", "[DONE]")
    assert served.wait_ended() == 0


async def test_a_client_with_many_requests_does_not_keep_another_waiting(starter: Serve, folder: Path, tmp_path: Path) -> None:
    for client in ("many", "one"):
        (tmp_path / client).write_text(f"sk-{client}-key")
    served = start(starter, folder, "--api-keys-dir", str(tmp_path), "--max-queued-requests", "200")

    def cached(client: str) -> int:
        """Return how many tokens of a prompt had been computed for this client before."""
        asked = body(prompt=list(range(5, 105)), stream=False, max_tokens=1)
        keys = {"authorization": f"Bearer sk-{client}-key"}
        found = served.post(asked, path="/v1/completions", headers=keys).json()["usage"]
        return int(found["prompt_tokens_details"]["cached_tokens"])

    assert [cached("many"), cached("many") > 90, cached("one")] == [0, True, 0], "what was computed is its client's alone"

    async def many(seed: int) -> None:
        keys = {"authorization": "Bearer sk-many-key"}
        async with aclosing(stream(served, body(seed), keys)) as events:
            async for _ in events:
                pass

    async def one() -> int:
        keys = {"authorization": "Bearer sk-one-key"}
        asked = body(1, stream=False, max_tokens=4)
        found = await asyncio.to_thread(served.post, asked, path="/v1/completions", headers=keys, timeout=PATIENCE)
        return found.status_code

    def queue() -> tuple[int, int]:
        told = served.status().queue
        return told.running_requests, told.queued_requests

    streams: list[asyncio.Future[Any]] = [asyncio.ensure_future(many(seed)) for seed in range(SEQUENCES)]
    await eventually(lambda: queue() == (SEQUENCES, 0), PATIENCE, "the many have all places")
    streams += [asyncio.ensure_future(many(seed)) for seed in range(SEQUENCES, MANY)]
    await eventually(lambda: queue() == (SEQUENCES, MANY - SEQUENCES), PATIENCE, "and more of them wait")
    status = asyncio.ensure_future(one())
    await eventually(lambda: queue() == (SEQUENCES, MANY - SEQUENCES + 1), PATIENCE, "so does the one")
    streams.pop(0).cancel()  # one place is free, and no other before one of the many has ended
    ended, _ = await asyncio.wait({status, *streams}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert ended == {status}, "the first place that was free was not the one's"
    assert status.result() == 200
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


def test_a_causal_model_gives_vectors_where_these_are_asked_for(starter: Serve, folder: Path) -> None:
    served = starter.local(str(folder), NAME, "--task", "feature-extraction")
    served.wait_ready()
    assert served.status().model.task == "feature-extraction"
    assert len(served.post({"model": NAME, "input": "a kettle"}).json()["data"][0]["embedding"]) > 0
    refused = served.post(body(stream=False, max_tokens=2), path="/v1/completions")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_task")
