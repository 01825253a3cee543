"""From the first second to the last answer: health, drain, a dying engine, limits that change."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinion_contract import metric_names as names
from pinion_contract.config import LiveConfig
from pinion_contract.status import FailureReason, Phase
from tests.support.contained_pods import LONG_WARMUP
from tests.support.held_programs import held_at, looks_for
from tests.support.hub import Hub
from tests.support.processes import engine_of, engines_of
from tests.support.serve import (
    LOOK_SECONDS,
    READY_SECONDS,
    Serve,
    Served,
    commit_of,
    eventually,
    make_config,
    make_live,
    stopped,
    wait_until,
)

pytestmark = pytest.mark.model

LONG = "word " * 250


@pytest.fixture(scope="session")
def commit(hub: Hub) -> str:
    """Return the commit of all-MiniLM-L6-v2 at the mirror."""
    return commit_of(hub, hub.minilm)


def pod(serve: Serve, commit: str, *flags: str, live: LiveConfig | None = None, **changes: Any) -> Served:
    """Start what a pod of MiniLM runs."""
    return serve.config(make_config(serve.hub, serve.hub.minilm, commit, **changes), live or make_live(), *flags)


def body(served: Served, value: Any = "kettle") -> dict[str, Any]:
    return {"model": served.model, "input": value}


def test_http_is_up_long_before_the_model_is(serve: Serve, commit: str) -> None:
    started = time.monotonic()
    # It warms up while this looks, and a drain would take longer than its end may.
    served = pod(serve, commit, "--drain-seconds", "60", warmup=LONG_WARMUP, termination_grace_period_seconds=100)
    wait_until(lambda: served.phase() is not None, 60, "the management port answers")
    seconds = time.monotonic() - started
    assert served.get("/livez").status_code == 200
    assert (served.get("/readyz").status_code, served.get("/startupz").status_code) == (503, 503)
    refusal = served.post(body(served))
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (503, "model_not_ready")
    assert 1 <= int(refusal.headers["retry-after"]) <= 120
    assert httpx.get(f"{served.base}/v1/models", timeout=60).status_code == 503
    assert httpx.get(f"{served.base}/health", timeout=60).status_code == 503
    # Told to end before it is Ready, it does not wait for anything.
    served.terminate()
    ended = time.monotonic()
    assert served.wait_ended() == 0
    assert time.monotonic() - ended < 30
    assert seconds < 45


async def test_a_termination_under_load_loses_nothing(serve: Serve, commit: str) -> None:
    # Three answers of each caller come within the drain on a machine that is held up for seconds, too.
    served = pod(serve, commit, "--drain-seconds", "18", termination_grace_period_seconds=60)
    served.wait_ready()
    answers: list[int] = []
    ends = [0] * 16  # answers of each caller that let go of its connection

    async def caller(number: int) -> None:
        """Ask as one whose endpoint is taken away a while after the signal: three more times, each on a new connection."""
        async with httpx.AsyncClient(base_url=served.base, timeout=60) as client:
            while ends[number] < 3:
                text = LONG if number % 4 == 0 else f"text {number}"
                answer = await client.post("/v1/embeddings", json=body(served, text))
                answers.append(answer.status_code)
                ends[number] += answer.headers.get("connection") == "close"

    callers = [asyncio.create_task(caller(number)) for number in range(16)]
    await eventually(lambda: len(answers) >= 100)
    served.terminate()
    await eventually(lambda: any(ends))
    ready, alive, status = await asyncio.to_thread(lambda: (served.get("/readyz"), served.get("/livez"), served.status()))
    served.terminate()  # a second one changes nothing
    await asyncio.gather(*callers)
    assert (ready.status_code, alive.status_code, status.phase) == (503, 200, Phase.DRAINING)
    assert set(answers) == {200}
    assert await asyncio.to_thread(served.wait_ended) == 0


async def test_what_is_in_flight_at_the_end_is_finished(serve: Serve, commit: str) -> None:
    served = pod(serve, commit, "--drain-seconds", "0", termination_grace_period_seconds=150)  # for the slowest machine
    served.wait_ready()
    engine = engine_of(served)

    def taken() -> int:
        queue = served.status().queue
        return queue.queued_requests + queue.running_requests

    async with httpx.AsyncClient(base_url=served.base, timeout=150) as client:
        with stopped(engine):  # so that neither is finished before both are in flight
            long = [asyncio.create_task(client.post("/v1/embeddings", json=body(served, [LONG] * 60))) for _ in range(2)]
            await eventually(lambda: taken() == 2, LOOK_SECONDS)
            served.terminate()
        answers = await asyncio.gather(*long)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert await asyncio.to_thread(served.wait_ended) == 0


async def test_what_can_not_be_finished_is_told_so(serve: Serve, commit: str) -> None:
    served = pod(serve, commit, "--drain-seconds", "0", termination_grace_period_seconds=2)
    served.wait_ready()
    async with httpx.AsyncClient(base_url=served.base, timeout=60) as client:
        long = asyncio.create_task(client.post("/v1/embeddings", json=body(served, [LONG] * 500)))
        await eventually(lambda: served.status().queue.running_requests > 0)
        served.terminate()
        answer = await long
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
    assert await asyncio.to_thread(served.wait_ended) == 0


async def test_a_killed_engine_is_replaced(serve: Serve, commit: str, tmp_path: Path) -> None:
    may_be_held = tmp_path / "may-be-held"
    moment = f"{looks_for('pinion_runtime.engines.worker')} and os.path.exists({str(may_be_held)!r})"
    with held_at(moment, tmp_path / "held") as held:
        serve.variables = held.environment
        served = pod(serve, commit)
        ready = served.wait_ready()
        first = engine_of(served)
        may_be_held.touch()  # the next engine waits at its start, until all has been seen
        async with httpx.AsyncClient(base_url=served.base, timeout=60) as client:
            with stopped(first):  # so that it has not answered when it is killed
                in_flight = asyncio.create_task(client.post("/v1/embeddings", json=body(served, [LONG] * 60)))
                await eventually(lambda: served.status().queue.running_requests > 0, LOOK_SECONDS)
                os.kill(first, signal.SIGKILL)
            await asyncio.to_thread(held.wait, "another engine")
            answer = await in_flight
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_died")
            assert answer.headers["retry-after"]
            assert served.get("/readyz").status_code == 503
            status = served.status()
            assert status.failure is not None
            assert (status.failure.reason, status.failure.retrying) == (FailureReason.ENGINE_DIED, True)
            refused = await client.post("/v1/embeddings", json=body(served))
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_died")
            assert served.get("/livez").status_code == 200
    again = served.wait_ready()
    assert again.failure is None
    assert again.last_failure is not None
    assert again.last_failure.reason == FailureReason.ENGINE_DIED
    assert again.last_failure.message == status.failure.message
    assert f"the engine died: {status.failure.message}" in served.log.read_text()
    assert again.engine_restarts == 1
    assert again.timings.cold_start_seconds == ready.timings.cold_start_seconds
    assert served.metric(names.ENGINE_RESTARTS_TOTAL, model=served.model) == 1
    assert engine_of(served) != first
    assert served.post(body(served)).status_code == 200


async def test_limits_change_without_a_restart(serve: Serve, commit: str) -> None:
    served = pod(serve, commit, live=make_live(max_concurrent_requests=1, max_queued_requests=1))
    served.wait_ready()

    async def burst(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post("/v1/embeddings", json=body(served, [LONG] * 8)) for _ in range(12)))

    async with httpx.AsyncClient(base_url=served.base, timeout=60) as client:
        answers = await burst(client)
        full = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert {answer.json()["error"]["code"] for answer in full} == {"queue_full"}
        assert all(1 <= int(answer.headers["retry-after"]) <= 120 for answer in full)
        assert served.metric(names.ERRORS_TOTAL, error_type="queue_full") == len(full)

        wider = make_live(max_concurrent_requests=8, max_queued_requests=8, max_body_bytes=100, request_timeout_seconds=1)
        (serve.folder / "live.json").write_text("{ broken")
        asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
        assert (await client.options("/v1/embeddings", headers=asked)).status_code == 405
        told = wider.model_copy(update={"cors_origins": ("*",)})
        (serve.folder / "live.json").write_text(told.model_dump_json(by_alias=True))
        wait_until(lambda: served.status().limits == wider.limits, 60, "the new limits")
        assert served.status().cors_origins == ("*",)
        assert (await client.options("/v1/embeddings", headers=asked)).status_code == 204
        too_large = await client.post("/v1/embeddings", json=body(served, "x" * 200))
        assert too_large.status_code == 413

        small = make_live(max_tokens_per_request=20)
        (serve.folder / "live.json").write_text(small.model_dump_json(by_alias=True))
        wait_until(lambda: served.status().limits == small.limits, 60, "the limit of tokens")
        many = await client.post("/v1/embeddings", json=body(served, ["x"] * 7))
        assert (many.status_code, many.json()["error"]["code"]) == (413, "request_too_large")
        assert "21 tokens" in many.json()["error"]["message"]
        assert (await client.post("/v1/embeddings", json=body(served, ["x"] * 6))).status_code == 200

        slow = make_live(request_timeout_seconds=1)
        (serve.folder / "live.json").write_text(slow.model_dump_json(by_alias=True))
        wait_until(lambda: served.status().limits == slow.limits, 60, "the short timeout")
        late = await client.post("/v1/embeddings", json=body(served, [LONG] * 500))
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert late.headers["x-should-retry"] == "false"

        default = make_live()
        (serve.folder / "live.json").write_text(default.model_dump_json(by_alias=True))
        wait_until(lambda: served.status().limits == default.limits, 60, "the default limits")
        assert {answer.status_code for answer in await burst(client)} == {200}


async def test_nothing_is_computed_for_a_client_that_has_gone(serve: Serve, commit: str) -> None:
    served = pod(serve, commit)
    served.wait_ready()
    async with httpx.AsyncClient(base_url=served.base, timeout=60) as client:
        gone = asyncio.create_task(client.post("/v1/embeddings", json=body(served, [LONG] * 500)))
        await eventually(lambda: served.status().queue.running_requests > 0)
        gone.cancel()
        await asyncio.wait({gone})
        wait_until(lambda: served.status().queue.running_requests == 0, 60, "the request to be dropped")
        assert (await client.post("/v1/embeddings", json=body(served))).status_code == 200
    assert served.metric(names.REQUESTS_TOTAL, endpoint="/v1/embeddings", status="499") == 1
    assert served.metric(names.BATCH_SIZE + "_sum", model=served.model) < 500


def test_an_engine_that_is_killed_while_it_loads_is_replaced(serve: Serve, commit: str) -> None:
    """Nothing says that the next one would be killed as well: only memory that ran out is final."""
    served = pod(serve, commit)
    served.wait_until(lambda: bool(engines_of(served)), READY_SECONDS, "an engine")
    os.kill(engines_of(served)[0], signal.SIGKILL)
    served.wait_until(lambda: "killed by SIGKILL" in served.log.read_text(), 60, "its end is told")
    ready = served.wait_ready()
    assert ready.failure is None
    assert served.post(body(served)).status_code == 200
