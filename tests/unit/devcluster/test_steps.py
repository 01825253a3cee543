"""Every step is taken, what failed is told in a line each, and an interrupt is no failure."""

import pytest

from devcluster.errors import DevClusterError
from devcluster.steps import Step, UnfinishedError, take_all


def failing(error: BaseException) -> Step:
    def work() -> None:
        raise error

    return Step("it", work)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DevClusterError("two\n  lines"), "it: two lines"),
        (OSError(16, "Device or resource busy", "/x"), "it: Device or resource busy: /x"),
        (OSError(16, "Device or resource busy"), "it: Device or resource busy"),
        (ValueError("a defect"), "it: ValueError: a defect"),
        (UnfinishedError(["of its own", "another"]), "of its own\nanother"),
    ],
)
def test_a_step_that_fails_keeps_none_from_being_taken(error: Exception, line: str) -> None:
    taken: list[int] = []
    with pytest.raises(UnfinishedError) as caught:
        take_all([Step("one", lambda: taken.append(1)), failing(error), Step("three", lambda: taken.append(3))])
    assert taken == [1, 3]
    assert "\n".join(caught.value.lines) == line
    assert str(caught.value).startswith(
        "not everything could be removed; the same command goes on when this is out of the way:\n  "
    )


def test_an_interrupt_ends_it_at_once() -> None:
    taken: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        take_all([failing(KeyboardInterrupt()), Step("after", lambda: taken.append(1))])
    assert taken == []


def test_nothing_failed() -> None:
    take_all([])
    take_all([Step("one", lambda: None)])
