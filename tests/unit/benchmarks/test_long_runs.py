"""What the benchmarks of ten thousand requests send, and what they say of the memory that was held after each quarter."""

from itertools import islice

import pytest

from benchmarks.serving.generating.mixture import CLIENTS, calls
from benchmarks.serving.resident import growth_of

WORDS = [f" word{number}" for number in range(50)]


def test_the_mixture_holds_every_kind_and_is_the_same_each_time() -> None:
    found = list(islice(calls(WORDS, "m"), 2000))
    assert found == list(islice(calls(WORDS, "m"), 2000))
    kinds = {
        (call.path, call.body.get("stream", False), call.body["temperature"] > 0, call.leaves_after is not None)
        for call in found
    }
    assert len(kinds) == 16, "both routes, streamed and not, sampling and greedy, given up and not"
    assert {call.client for call in found} == set(range(CLIENTS))
    assert {call.body["n"] for call in found} == {1, 2, 4}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([500, 500, 500, 500], "growth +0.0%, limit 5%: kept; ratio to the limit 0.00"),
        ([500, 510, 525, 505], "growth +5.0%, limit 5%: kept; ratio to the limit 1.00"),
        ([500, 510, 530, 550], "growth +10.0%, limit 5%: not kept; ratio to the limit 2.00"),
    ],
    ids=["flat", "the largest counts", "more than the limit"],
)
def test_growth_is_what_came_after_the_first_quarter(held: list[float], said: str) -> None:
    assert growth_of(held) == said
