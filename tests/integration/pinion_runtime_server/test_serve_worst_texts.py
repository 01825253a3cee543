"""Whatever is sent within the limit of a body: probes and neighbours are answered, memory is bounded, the engine lives."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from httpx import Response

from tests.support.held_up import MEMORY_BOUND, check_probes, p99, send_at_once, watched, worst_bodies
from tests.support.hub import Hub
from tests.support.models import TinyModels
from tests.support.processes import engine_of
from tests.support.serve import LOOK_SECONDS, Serve, Served, stopped, wait_until
from tests.support.worst_texts import tokenizer_of

pytestmark = pytest.mark.model

PROBE_SECONDS = 3.0  # 15 times what a probe may take on a quiet machine
AT_ONCE = ("one long word, cut", "ACGT, cut", "escapes", "texts, cut", "token ids", "one letter, cut at its beginning")


@pytest.fixture(scope="module")
def served(hub: Hub, tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front whose tokenizer splits at white space only."""
    folder = tiny_models.copy(hub.root / "tests/worst-texts")
    tokenizer_of("Unigram").save(str(folder / "tokenizer.json"))
    root = tmp_path_factory.mktemp("worst-texts")
    starter = Serve(hub, root, root / "hf-home")
    try:
        running = starter.flags("tests/worst-texts")
        running.wait_ready(300)
        yield running
    finally:
        starter.stop_all()


def test_the_worst_at_once_hold_up_nobody(served: Served) -> None:
    bodies = worst_bodies(served.model, AT_ONCE)
    engine = engine_of(served)
    with watched(served) as seen:
        statuses = send_at_once(served, bodies)
    assert set(statuses) <= {200, 400, 413}, dict(zip(AT_ONCE, statuses, strict=True))
    assert seen.statuses == {200}
    assert engine_of(served) == engine
    check_probes(seen.livez_seconds, PROBE_SECONDS)
    assert seen.grown_bytes < MEMORY_BOUND, f"{seen.grown_bytes >> 20} MiB"
    print(
        f"livez {p99(seen.livez_seconds):.3f} s of {len(seen.livez_seconds)}, small {max(seen.small_seconds):.2f} s",
        end=", ",
    )
    print(f"{seen.grown_bytes >> 20} MiB")


def test_a_word_passes_a_request_of_2048_texts(served: Served) -> None:
    bulk = {"model": served.model, "input": ["heron fish kettle " * 8] * 2048, "truncate": True}
    word = {"model": served.model, "input": "kettle"}

    def taken() -> int:
        queue = served.status().queue
        return queue.queued_requests + queue.running_requests

    engine = engine_of(served)
    with ThreadPoolExecutor(6) as threads:
        with stopped(engine):  # so that all of them are there before one is answered
            large = [threads.submit(served.post, bulk, timeout=200, verify=False) for _ in range(3)]
            wait_until(lambda: taken() == 3, LOOK_SECONDS, "the large requests are in")
            small = [threads.submit(served.post, word, timeout=200, verify=False) for _ in range(3)]
            wait_until(lambda: taken() == 6, LOOK_SECONDS, "the small ones are behind them")
            ended: list[Future[Response]] = []
            for each in (*large, *small):
                each.add_done_callback(ended.append)
        assert [each.result().status_code for each in small] == [200] * 3
        answers = [each.result() for each in large]
        assert set(small) <= set(ended[:4]), "the small ones waited for the large ones"
    for answer in answers:
        assert answer.status_code == 200
        assert len(answer.json()["data"]) == 2048
