"""The number of threads of a pass, told how long one of them waited for a processor."""

from collections import Counter

import pytest

from pinion_runtime.engines.transformers.generation.thread_count import ThreadCount

ALONE, CROWDED = 0.03, 0.4


def run(count: ThreadCount, passes: int, waited: float, most: int = 64) -> Counter[int]:
    """Compute passes in which more threads than `most` wait so long; return how often each number was used."""
    used: Counter[int] = Counter()
    for _ in range(passes):
        used[count.now] += 1
        count.computed((waited if count.now > most else 0.0) if count.looks else None)
    return used


def test_threads_that_have_processors_stay_as_many() -> None:
    assert run(ThreadCount(2), 1000, ALONE, most=0) == {2: 1000}


def test_threads_that_wait_become_one_and_it_costs_few_passes_to_see_whether_that_is_over() -> None:
    used = run(ThreadCount(2), 2000, CROWDED, most=1)
    assert used[2] < 30
    assert used[1] > 1970


def test_the_first_passes_tell() -> None:
    assert run(ThreadCount(2), 10, CROWDED, most=1) == {2: 2, 1: 8}
    count = ThreadCount(2)
    run(count, 1001, ALONE)
    assert run(count, 10, CROWDED, most=1)[1] >= 4, "one of four passes is looked at"


@pytest.mark.parametrize("crowded", [50, 5000])
def test_all_are_back_when_it_is_over(crowded: int) -> None:
    count = ThreadCount(2)
    run(count, crowded, CROWDED, most=1)
    run(count, 256, ALONE)
    assert run(count, 100, ALONE) == {2: 100}


def test_one_accident_changes_nothing() -> None:
    count = ThreadCount(2)
    for _ in range(50):
        run(count, 7, ALONE)
        count.computed(CROWDED if count.looks else None)
    assert count.now == 2


def test_after_a_quiet_time_a_crowd_is_met_as_the_first_one_was() -> None:
    count = ThreadCount(2)
    run(count, 5000, CROWDED, most=1)
    run(count, 1000, ALONE)
    run(count, 10, CROWDED, most=1)
    assert count.now == 1
    assert run(count, 60, ALONE)[2] > 20


def test_after_a_rest_all_are_tried_at_once() -> None:
    count = ThreadCount(16)
    run(count, 5000, CROWDED, most=1)
    assert count.now < 16
    count.rested()
    assert run(count, 100, ALONE) == {16: 100}


def test_of_many_threads_as_many_remain_as_have_processors() -> None:
    used = run(ThreadCount(16), 3000, CROWDED, most=5)
    assert used[4] > 2900
    assert set(used) == {16, 8, 4}


def test_three_are_all() -> None:
    count = ThreadCount(3)
    assert set(run(count, 100, CROWDED, most=1)) == {3, 1, 2}
    run(count, 1000, ALONE)
    assert count.now == 3


def test_one_thread_is_never_looked_at() -> None:
    count = ThreadCount(1)
    assert not any(count.looks or count.computed(None) for _ in range(1000))
    assert count.now == 1
