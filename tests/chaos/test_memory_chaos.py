"""Thousands of requests of every size, two hundred in a round: memory stays flat after the first two hundred."""

import random

import pytest

from pinion_runtime.pod.memory import measure
from tests.support.appetite import ask_all_sizes, largest_batch_is_bounded
from tests.support.serve import Served

pytestmark = [pytest.mark.chaos, pytest.mark.model]

GROWTH = 128 << 20  # the engine holds that much more or less between two times that it gives memory back


@pytest.mark.timeout(7200)
def test_memory_over_thousands_of_requests(minilm_served: Served, dice: random.Random, rounds: int) -> None:
    pid = minilm_served.process.pid
    ask_all_sizes(minilm_served, dice, 200, 32)
    held = [measure(pid).resident_bytes]
    for _ in range(rounds):
        ask_all_sizes(minilm_served, dice, 200, 32)
        held.append(measure(pid).resident_bytes)
        print(f"{held[-1] >> 20} MiB")
    assert max(held) - held[0] < GROWTH, held
    assert largest_batch_is_bounded(minilm_served)
