"""A model's passes are computed with as many threads as were told, and tell how long these waited."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from pinion_runtime.engines.transformers.generation.pass_threads import adapt_threads
from pinion_runtime.engines.transformers.generation.thread_count import ThreadCount


class Model(nn.Module):
    """Notes with how many threads it was computed."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[int] = []
        self.now, self.takes = 0.0, 0.0  # the time, and how long a pass takes, in seconds

    def forward(self, features: Tensor) -> Tensor:
        self.used.append(torch.get_num_threads())
        self.now += self.takes
        if features.sum() < 0:
            raise ValueError("a pass that fails")
        return features


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_passes_have_the_threads_that_were_told() -> None:
    model, count = Model(), ThreadCount(2)
    adapt_threads(model, count)
    count.computed(0.9)
    count.computed(0.9)
    for _ in range(33):
        model(torch.ones(1))
    assert model.used == [1] * 32 + [2]


def test_how_long_threads_waited_is_measured_where_it_is_asked_for() -> None:
    model, count = Model(), ThreadCount(2)
    adapt_threads(model, count)
    asked = []
    for _ in range(8):
        asked.append(count.looks)
        model(torch.ones(1000))
    assert asked[0]
    assert False in asked, "what was measured was told: not each pass is looked at"


def test_a_pass_that_fails_counts_for_nothing() -> None:
    model, count = Model(), ThreadCount(2)
    adapt_threads(model, count)
    for _ in range(3):
        with pytest.raises(ValueError, match="a pass that fails"):
            model(-torch.ones(1))
    assert count.looks, "none was measured"
    model(torch.ones(1))
    assert set(model.used) == {2}


def test_after_ten_seconds_without_a_pass_all_threads_are_tried() -> None:
    model, count = Model(), ThreadCount(2)
    adapt_threads(model, count, lambda: model.now)
    count.computed(0.9)
    count.computed(0.9)
    model(torch.ones(1))
    model.now += 9
    model(torch.ones(1))
    model.now += 11
    model(torch.ones(1))
    assert model.used == [1, 1, 2]


def test_a_pass_that_takes_longer_is_no_rest() -> None:
    model, count = Model(), ThreadCount(2)
    model.takes = 60
    adapt_threads(model, count, lambda: model.now)
    count.computed(0.9)
    count.computed(0.9)
    for _ in range(4):
        model(torch.ones(1))
    assert model.used == [1] * 4
