"""A model's passes, at load and afterwards, with as many threads as find processors."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...schedstat import longest_wait, run_delays
from .thread_count import ThreadCount

_REST_SECONDS = 10.0  # without a pass


def adapt_threads(model: nn.Module, count: ThreadCount, clock: Callable[[], float] = time.monotonic) -> None:
    """Have every pass of a model computed with the threads that `count` says, and tell it how long they waited."""
    look: tuple[dict[str, int], int] | None = None  # at the pass under way: the waits so far, and when it began
    latest = clock()

    def begin(module: nn.Module, given: Any) -> None:
        nonlocal look
        if clock() - latest > _REST_SECONDS:
            count.rested()
        torch.set_num_threads(count.now)
        look = (run_delays(), time.perf_counter_ns()) if count.looks else None

    def end(module: nn.Module, given: Any, result: Any) -> None:
        nonlocal latest
        latest = clock()
        if look is None:
            count.computed(None)
            return
        before, began = look
        took = time.perf_counter_ns() - began
        count.computed(longest_wait(before, run_delays()) / took)

    model.register_forward_pre_hook(begin)
    model.register_forward_hook(end)
