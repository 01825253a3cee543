"""When an engine is given up, told the time: never for what the front itself slept through."""

import pytest

from pinion_runtime.engines.watch import LOOK_SECONDS, Watch

SILENCE, STUCK = 5.0, 3.0


def looks(watch: Watch, *times: float) -> str:
    """Look at these times and return the first reason to kill, "" for none."""
    for now in times:
        reason, _ = watch.look(now, SILENCE)
        if reason:
            return reason
    return ""


def seconds(start: float, stop: float) -> list[float]:
    return [start + number * LOOK_SECONDS for number in range(1, int((stop - start) / LOOK_SECONDS) + 1)]


def test_a_silent_engine_is_given_up() -> None:
    watch = Watch(0.0, STUCK)
    assert looks(watch, *seconds(0, SILENCE)) == ""
    assert looks(watch, SILENCE + 1) == "it was silent for more than 5 s"


def test_a_heartbeat_begins_the_count_again() -> None:
    watch = Watch(0.0, STUCK)
    for now in seconds(0, 60):
        watch.heard()
        assert looks(watch, now) == ""


@pytest.mark.parametrize("stall", [6.0, 60.0, 3600.0])
def test_what_the_front_slept_through_is_no_silence(stall: float) -> None:
    watch = Watch(0.0, STUCK)
    assert looks(watch, 1.0, 1.0 + stall) == ""
    watch.heard()  # what lay unread
    assert looks(watch, *seconds(1 + stall, stall + SILENCE)) == ""


def test_an_engine_that_is_silent_after_the_stall_too_is_given_up() -> None:
    watch = Watch(0.0, STUCK)
    assert looks(watch, 100.0, *seconds(100, 100 + SILENCE - 1)) == ""
    assert looks(watch, *seconds(100 + SILENCE - 1, 100 + SILENCE + 1)) == "it was silent for more than 5 s"


def test_a_front_that_is_held_up_again_and_again_still_counts() -> None:
    watch = Watch(0.0, STUCK)
    assert looks(watch, *(number * 10.0 for number in range(1, 6))) == ""
    assert "silent" in looks(watch, 60.0)


def test_how_long_the_front_was_held_up_is_told() -> None:
    watch = Watch(0.0, STUCK)
    assert watch.look(1.0, SILENCE)[1] == 0.0
    assert watch.look(2.5, SILENCE)[1] == 0.0  # a busy machine
    assert watch.look(32.5, SILENCE)[1] == 29.0


def test_a_batch_past_its_deadline_is_waited_for_and_then_not() -> None:
    watch = Watch(0.0, STUCK)
    watch.sent(1, deadline=2.0)
    for now in seconds(0, 2 + STUCK):
        watch.heard()
        assert looks(watch, now) == ""
    watch.heard()
    assert looks(watch, 3 + STUCK) == "a batch was not finished 3 s after its deadline"


def test_a_deadline_that_passed_while_the_front_slept_is_no_reason() -> None:
    watch = Watch(0.0, STUCK)
    watch.sent(1, deadline=2.0)
    assert looks(watch, 1.0, 600.0) == ""
    watch.done(1)  # its result lay unread
    watch.heard()
    assert not watch.busy
    assert looks(watch, 601.0, 602.0, 603.0, 604.0) == ""
