"""The phases of a pod: only the table's transitions, and the failure that goes with each."""

import itertools

import pytest

from pinion_contract.status import FailureReason, Phase
from pinion_runtime.pod.lifecycle import TRANSITIONS, Change, InvalidTransition, Lifecycle

ROAD = [Phase.FETCHING, Phase.VERIFYING, Phase.PINNING, Phase.LOADING, Phase.WARMING_UP, Phase.READY]


def at(phase: Phase) -> Lifecycle:
    lifecycle = Lifecycle()
    for step in itertools.takewhile(lambda _: lifecycle.phase is not phase, ROAD):
        lifecycle.to(step)
    return lifecycle


def test_every_phase_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Phase)


def test_the_whole_road() -> None:
    times = iter([10.0, 42.5])
    lifecycle = Lifecycle(clock=lambda: next(times))
    for step in ROAD:
        lifecycle.to(step)
    assert lifecycle.phase is Phase.READY
    assert lifecycle.seconds_to_ready == 32.5
    assert lifecycle.startup_ended


@pytest.mark.parametrize("phase", [Phase.READY, Phase.LOADING, Phase.RESOLVING])
def test_a_transition_outside_the_table_is_refused(phase: Phase) -> None:
    with pytest.raises(InvalidTransition):
        Lifecycle().to(phase)


def test_a_retry_keeps_the_phase_and_is_overcome_by_the_next() -> None:
    lifecycle = Lifecycle()
    lifecycle.retrying(FailureReason.ORIGIN_UNREACHABLE, "no answer")
    assert lifecycle.phase is Phase.RESOLVING
    assert lifecycle.failure is not None
    assert lifecycle.failure.retrying
    lifecycle.to(Phase.FETCHING)
    assert lifecycle.failure is None


def test_a_failure_for_good_names_its_stage_and_stays() -> None:
    lifecycle = at(Phase.LOADING)
    lifecycle.fail(FailureReason.MODEL_LOAD_FAILED, "no such architecture")
    assert lifecycle.phase is Phase.FAILED
    assert lifecycle.startup_ended
    for phase in (Phase.LOADING, Phase.READY):
        with pytest.raises(InvalidTransition):
            lifecycle.to(phase)
    lifecycle.to(Phase.DRAINING)
    assert lifecycle.failure is not None
    assert lifecycle.failure.stage is Phase.LOADING


def test_a_dead_engine_takes_the_pod_back_until_another_is_warm() -> None:
    lifecycle = at(Phase.READY)
    first = lifecycle.seconds_to_ready
    lifecycle.engine_died("killed by signal 9")
    assert lifecycle.phase is Phase.LOADING
    assert lifecycle.failure is not None
    assert (lifecycle.failure.stage, lifecycle.failure.reason) == (Phase.READY, FailureReason.ENGINE_DIED)
    lifecycle.to(Phase.WARMING_UP)
    assert lifecycle.failure.reason is FailureReason.ENGINE_DIED
    lifecycle.to(Phase.READY)
    assert lifecycle.failure is None
    assert lifecycle.seconds_to_ready == first


@pytest.mark.parametrize("phase", [*ROAD, Phase.RESOLVING])
def test_every_phase_but_the_last_can_drain(phase: Phase) -> None:
    lifecycle = at(phase) if phase is not Phase.RESOLVING else Lifecycle()
    lifecycle.to(Phase.DRAINING)
    lifecycle.engine_died("too late to matter")
    assert lifecycle.phase is Phase.DRAINING


def test_listeners_hear_each_change_in_order() -> None:
    lifecycle = Lifecycle()
    heard: list[Change] = []
    lifecycle.on_change(heard.append)
    lifecycle.to(Phase.FETCHING)
    lifecycle.retrying(FailureReason.DOWNLOAD_STALLED, "silence")
    assert [(change.before, change.phase, change.failure is None) for change in heard] == [
        (Phase.RESOLVING, Phase.FETCHING, True),
        (Phase.FETCHING, Phase.FETCHING, False),
    ]
