"""Memory that stays flat whatever is asked, and a model whose numbers overflow, which is never served."""

import os
import random
from pathlib import Path

import pytest

from pinion_contract.status import FailureReason, Phase
from pinion_runtime.pod.memory import measure
from tests.support.appetite import ask_all_sizes, largest_batch_is_bounded
from tests.support.models import TinyModels
from tests.support.processes import engine_of
from tests.support.serve import Serve, Served, commit_of, make_config, make_live, wait_until

pytestmark = pytest.mark.model

ENGINE = 700 << 20  # bytes resident at rest, with the CUDA build of torch, which holds 630 MiB as soon as it is imported
GROWTH = 128 << 20  # bytes; the engine holds that much more or less between two times that it gives memory back


def test_memory_is_flat_after_the_first_requests(minilm_served: Served) -> None:
    dice = random.Random(7)
    pid = minilm_served.process.pid
    ask_all_sizes(minilm_served, dice, 1, 32)  # the largest there will be comes first
    ask_all_sizes(minilm_served, dice, 15, 8)
    before = measure(pid).resident_bytes
    ask_all_sizes(minilm_served, dice, 60, 8)
    # It gives memory back once in ten seconds, perhaps just before the first look and not yet before the second.
    wait_until(lambda: measure(pid).resident_bytes - before < GROWTH, 60, "the memory is what it was, or little more")
    assert largest_batch_is_bounded(minilm_served)


def test_an_engine_at_rest_holds_what_it_uses(minilm_served: Served) -> None:
    engine = engine_of(minilm_served)

    def resident() -> int:
        return int(Path(f"/proc/{engine}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    wait_until(lambda: resident() < ENGINE, 30, f"{resident() >> 20} MiB in the engine")


def test_a_model_whose_numbers_overflow_is_not_served(serve: Serve, tiny_models: TinyModels) -> None:
    tiny_models.copy(serve.hub.root / "tests/overflows", scale_last_layer=1e6, normalize=False)
    config = make_config(serve.hub, "tests/overflows", commit_of(serve.hub, "tests/overflows"), dtype="float16")
    served = serve.config(config, make_live())
    status = served.wait_failure(FailureReason.WARMUP_FAILED)
    assert status.phase is Phase.FAILED
    assert status.failure is not None
    assert "NaN" in status.failure.message
    assert status.failure.stage is Phase.WARMING_UP
    assert not status.warm.done
    assert "NaN" in status.warm.error
    assert served.get("/readyz").status_code == 503
    refused = served.post({"model": served.model, "input": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_failed")
