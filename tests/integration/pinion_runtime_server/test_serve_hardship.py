"""One server in hardship: a user that nobody knows, huge texts, a killed engine, and at last a killed front."""

import asyncio
import os
import pwd
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinion_contract import metric_names as names
from pinion_runtime.pod.memory import tree
from tests.support.held_up import check_probes
from tests.support.hub import Hub
from tests.support.models import TinyModels
from tests.support.processes import engine_of, has_ended
from tests.support.serve import LOOK_SECONDS, Serve, Served, eventually, stopped, wait_until

pytestmark = pytest.mark.model

UNKNOWN_USER = 1_000_910_000
PROBE_SECONDS = 2.0  # what a kubelet waits for a pod to say that it is ready


@pytest.fixture(scope="module")
def starter(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts servers as clusters with random users do: no entry in passwd, no HOME, and one folder that may be written to."""
    folder = tmp_path_factory.mktemp("hardship")
    cache = folder / "hf-home"
    cache.mkdir()
    os.chown(cache, UNKNOWN_USER, 0)
    # It may read everything, because this project and its packages may lie in a private folder, and write nothing.
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    nobody = ("setpriv", f"--reuid={UNKNOWN_USER}", "--regid=0", "--clear-groups", *reading)
    serve = Serve(hub, folder, cache, prefix=nobody, without=("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"))
    try:
        yield serve
    finally:
        serve.stop_all()


@pytest.fixture(scope="module")
def served(starter: Serve, tiny_models: TinyModels) -> Served:
    tiny_models.copy(starter.hub.root / "tests/hardship", kind="convbert", pooling=None)
    running = starter.flags("tests/hardship")
    running.wait_ready(300)
    return running


def body(served: Served, value: Any) -> dict[str, Any]:
    return {"model": served.model, "input": value}


def test_a_user_that_nobody_knows_and_no_home(served: Served) -> None:
    with pytest.raises(KeyError):
        pwd.getpwuid(UNKNOWN_USER)
    for pid in (served.process.pid, engine_of(served)):
        assert Path(f"/proc/{pid}").stat().st_uid == UNKNOWN_USER
        names_of = {entry.partition(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
        assert not names_of & {b"HOME", b"USER", b"LOGNAME"}
    assert served.post(body(served, "kettle")).status_code == 200


def test_pooling_that_the_model_does_not_speak_of_is_told(served: Served) -> None:
    model = served.status().model
    assert (model.pooling, model.pooling_assumed) == ("mean", True)
    assert "say nothing of pooling: mean is assumed" in served.log.read_text()


def test_texts_that_would_change_each_other_are_kept_apart_and_that_is_told(served: Served) -> None:
    model = served.status().model
    assert model.engine == "transformers/equal-lengths"
    assert "beside a longer text a text's vector differs by" in model.engine_reason
    texts = ["kettle", "the heron waits in the shallow river until the fish forget it", "a"]
    together = served.post(body(served, texts)).json()["data"]
    alone = [served.post(body(served, text)).json()["data"][0] for text in texts]
    for one, other in zip(together, alone, strict=True):  # the last bits of a sum depend on where in memory its numbers lie
        assert one["embedding"] == pytest.approx(other["embedding"], abs=1e-6)


async def test_huge_texts_do_not_starve_the_probes(served: Served) -> None:
    """Probes are asked all the time while texts of megabytes are refused."""
    took: list[float] = []
    answers: list[int] = []
    over = asyncio.Event()

    async def probe(client: httpx.AsyncClient) -> None:
        while not over.is_set():
            for path in ("/livez", "/readyz"):
                started = time.monotonic()
                answers.append((await client.get(served.management + path)).status_code)
                took.append(time.monotonic() - started)
            await asyncio.sleep(0.02)

    huge = "kettle " * 1_300_000
    many = ["heron fish " * 900] * 900
    # Encoded beforehand: what this process does meanwhile must not hold up its own probes.
    bodies = (body(served, huge), body(served, many), body(served, many) | {"truncate": True})
    requests = [httpx.Request("POST", f"{served.base}/v1/embeddings", json=each) for each in bodies]
    async with httpx.AsyncClient(timeout=120) as client:
        probing = asyncio.create_task(probe(client))
        for _ in range(5):
            found = await asyncio.gather(*(client.send(request) for request in requests))
            assert [answer.status_code for answer in found] == [400, 400, 200]
            assert all(answer.json()["error"]["code"] == "context_length_exceeded" for answer in found[:2])
        over.set()
        await probing
    assert set(answers) == {200}
    assert len(took) > 20
    check_probes(took, PROBE_SECONDS)


async def test_counters_never_fall_and_end_at_what_was_sent(served: Served) -> None:
    before = requests_by_status(served)
    sent: list[int] = []
    scraped = [sum(before.values())]
    killed = engine_of(served)

    async def send(client: httpx.AsyncClient) -> None:
        for _ in range(40):
            sent.append((await client.post("/v1/embeddings", json=body(served, "kettle"))).status_code)
            if sent[-1] != 200:
                await asyncio.sleep(0.1)

    async def kill() -> None:
        await eventually(lambda: len(sent) >= 100)
        with stopped(killed):  # so that what it has is not answered before it is killed
            await eventually(lambda: served.status().queue.running_requests > 0, LOOK_SECONDS)
            os.kill(killed, signal.SIGKILL)

    async with httpx.AsyncClient(base_url=served.base, timeout=250) as client:
        sending = [asyncio.create_task(send(client)) for _ in range(8)]
        sending.append(asyncio.create_task(kill()))
        while not all(task.done() for task in sending):
            scraped.append(sum((await asyncio.to_thread(requests_by_status, served)).values()))
            await asyncio.sleep(0.05)
        await asyncio.gather(*sending)
    assert has_ended(killed)
    after = requests_by_status(served)
    assert scraped == sorted(scraped)
    assert sum(after.values()) - scraped[0] == len(sent) == 320
    for status in {str(status) for status in sent}:
        assert after[status] - before.get(status, 0) == sum(str(each) == status for each in sent)
    assert after["503"] > before.get("503", 0)
    served.wait_ready(300)
    assert served.metric(names.ENGINE_RESTARTS_TOTAL) == 1


def requests_by_status(served: Served) -> dict[str, float]:
    found: dict[str, float] = {}
    for labels, value in served.metrics().get(names.REQUESTS_TOTAL, []):
        found[labels["status"]] = found.get(labels["status"], 0) + value
    return found


def test_a_killed_front_leaves_nobody_behind_and_its_port_is_free(served: Served, starter: Serve) -> None:
    served.wait_ready(300)
    children = [pid for pid in tree(served.process.pid) if pid != served.process.pid]
    assert engine_of(served) in children
    with httpx.Client(base_url=served.base, timeout=30) as client:
        assert client.post("/v1/embeddings", json=body(served, "x")).status_code == 200
        # The connection is still open when the front dies.
        served.process.kill()
        served.process.wait(timeout=60)
    wait_until(lambda: all(map(has_ended, children)), 60, "the children of a killed front are gone")
    again = starter.flags(served.model, port=served.port)
    wait_until(lambda: again.phase() is not None, 60, "the port is taken again")
    assert httpx.get(f"{again.base}/health", timeout=30).status_code in (200, 503)
