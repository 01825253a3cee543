"""The worst of requests for longer: each kind alone, and six at once, with three kinds of tokenizers; and a stopped front."""

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from pinion_contract import metric_names as names
from pinion_runtime.engines.process import SILENCE_SECONDS
from tests.support.held_up import MEMORY_BOUND, p99, send_at_once, watched, worst_bodies
from tests.support.hub import Hub
from tests.support.models import TinyModels
from tests.support.processes import engine_of
from tests.support.serve import Serve, Served
from tests.support.worst_texts import tokenizer_of

pytestmark = [pytest.mark.chaos, pytest.mark.model]

PROBE_SECONDS = 0.2
HELD_UP_SECONDS = 1.0  # a fifth of what a kubelet waits for


@pytest.fixture(scope="module", params=["WordPiece", "byte BPE", "Unigram"])
def served(
    request: pytest.FixtureRequest, hub: Hub, tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A front for each family of tokenizers."""
    name = f"tests/held-up-{request.param.split()[0].lower()}"
    folder = tiny_models.copy(hub.root / name, kind="roberta" if request.param == "byte BPE" else "bert")
    if request.param == "Unigram":
        tokenizer_of("Unigram").save(str(folder / "tokenizer.json"))
    root = tmp_path_factory.mktemp("held-up")
    starter = Serve(hub, root, root / "hf-home")
    try:
        running = starter.flags(name)
        running.wait_ready(300)
        yield running
    finally:
        starter.stop_all()


@pytest.mark.timeout(7200)
def test_whatever_is_sent_holds_up_nobody(served: Served, dice: random.Random, rounds: int) -> None:
    engine, bodies = engine_of(served), worst_bodies(served.model)
    sets = [[body] for body in bodies] + [dice.sample(bodies, 6) for _ in range(rounds)] + [[bodies[1]] * 6]
    probes: list[float] = []
    for sent in sets:
        with watched(served) as seen:
            statuses = send_at_once(served, sent)
        print(f"{statuses} livez {p99(seen.livez_seconds):.3f} s of {len(seen.livez_seconds)}, {seen.grown_bytes >> 20} MiB")
        assert set(statuses) <= {200, 400, 413, 429}
        assert seen.statuses <= {200}
        # A request of a moment has two dozen probes, of which one may have waited for a processor.
        assert max(seen.livez_seconds) < HELD_UP_SECONDS
        assert seen.grown_bytes < MEMORY_BOUND
        probes += seen.livez_seconds
    print(f"of {len(probes)} probes 99 in 100 took at most {p99(probes):.3f} s, the longest {max(probes):.3f}")
    assert p99(probes) < PROBE_SECONDS
    assert engine_of(served) == engine


@pytest.mark.timeout(600)
def test_a_front_that_was_stopped_blames_no_engine(served: Served) -> None:
    engine = engine_of(served)
    for _ in range(2):
        os.kill(served.process.pid, signal.SIGSTOP)
        try:
            time.sleep(SILENCE_SECONDS + 5)
        finally:
            os.kill(served.process.pid, signal.SIGCONT)
        assert served.post({"model": served.model, "input": "kettle"}).status_code == 200
    assert engine_of(served) == engine
    assert served.metric(names.ENGINE_RESTARTS_TOTAL) == 0


@pytest.mark.timeout(600)
def test_a_word_beside_bulk_requests(served: Served) -> None:
    """Small requests pass large ones, which keep their speed."""
    bulk = {"model": served.model, "input": ["heron fish kettle " * 8] * 2048, "truncate": True}

    def seconds() -> float:
        began = time.monotonic()
        assert served.post(bulk, timeout=300).status_code == 200
        return time.monotonic() - began

    alone = min(seconds() for _ in range(3))
    together, longest = [], []
    for _ in range(3):
        with watched(served) as seen:
            together.append(seconds())
        longest.append(max(seen.small_seconds))
    print(f"alone {alone:.2f} s, beside small ones {min(together):.2f} s, of which the longest took {min(longest):.2f} s")
    assert min(longest) < alone / 2
    assert min(together) < 1.05 * alone + 0.3  # probing takes a part of the processors, too
