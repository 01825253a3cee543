"""What failed last stays in the status when it has been overcome."""

import re

from pinion_contract.status import FailureReason, PastFailure, Phase
from pinion_runtime.pod.lifecycle import Lifecycle
from pinion_runtime.pod.metrics import Metrics
from pinion_runtime.pod.state import Pod

ROAD = [Phase.FETCHING, Phase.VERIFYING, Phase.PINNING, Phase.LOADING, Phase.WARMING_UP, Phase.READY]


def last(pod: Pod) -> PastFailure:
    failure = pod.status().last_failure
    assert failure is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", failure.at)
    return failure


def ready() -> Pod:
    pod = Pod(Lifecycle(), Metrics())
    for phase in ROAD:
        pod.lifecycle.to(phase)
    return pod


def test_nothing_has_failed() -> None:
    assert ready().status().last_failure is None


def test_an_engine_that_died_and_was_replaced() -> None:
    pod = ready()
    pod.lifecycle.engine_died("killed by SIGKILL")
    pod.lifecycle.engine_died("no new engine yet")
    pod.lifecycle.to(Phase.WARMING_UP)
    pod.lifecycle.to(Phase.READY)
    assert pod.status().failure is None
    failure = last(pod)
    assert (failure.phase, failure.reason, failure.message) == (Phase.READY, FailureReason.ENGINE_DIED, "no new engine yet")


def test_a_stage_that_was_tried_again() -> None:
    pod = Pod(Lifecycle(), Metrics())
    pod.lifecycle.retrying(FailureReason.ORIGIN_UNREACHABLE, "no answer")
    for phase in ROAD:
        pod.lifecycle.to(phase)
    assert (last(pod).phase, last(pod).reason) == (Phase.RESOLVING, FailureReason.ORIGIN_UNREACHABLE)


def test_a_computation_and_then_nothing_new() -> None:
    pod = ready()
    pod.lifecycle.engine_died("killed by SIGKILL")
    pod.failed("internal_error", "IndexError: out of range")
    pod.lifecycle.to(Phase.DRAINING)  # it takes the old failure along, which is not a new one
    failure = last(pod)
    assert (failure.phase, failure.reason, failure.message) == (Phase.LOADING, "internal_error", "IndexError: out of range")


def test_a_final_failure_is_the_last_too() -> None:
    pod = Pod(Lifecycle(), Metrics())
    pod.lifecycle.fail(FailureReason.INVALID_CONFIG, "live.json: no such file")
    assert (last(pod).phase, last(pod).message) == (Phase.RESOLVING, "live.json: no such file")
