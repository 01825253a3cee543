"""What the benchmark of text generation makes of the events that it received."""

import json
from typing import Any

import pytest

from benchmarks.serving.generating.loads import LOADS, Ask
from benchmarks.serving.generating.streams import Answer, WrongAnswer, read
from benchmarks.serving.generating.timing import disturbed_by, percentile, result_of


def _event(text: str = "", **more: Any) -> bytes:
    return json.dumps({"choices": [{"text": text}] if text else [], **more}).encode()


def _usage(tokens: int) -> bytes:
    return _event(usage={"completion_tokens": tokens})


def _answer(*events: float, sent: float = 0.0, tokens: int | None = None) -> Answer:
    return Answer(sent, list(events), "", tokens or len(events))


@pytest.mark.parametrize(
    ("lines", "tokens"),
    [
        ([(1.0, _event(" a")), (2.0, _event(" b")), (2.0, b"[DONE]")], 2),
        ([(1.0, _event()), (1.5, _event(" a")), (2.0, _event(" b", usage=None)), (3.0, b"[DONE]")], 2),
        ([(1.5, _event(" a")), (2.0, _event(" b c")), (2.1, _usage(3))], 3),
    ],
    ids=["counted by events", "events without text do not count", "counted by the server"],
)
def test_an_answer_is_read(lines: list[tuple[float, bytes]], tokens: int) -> None:
    answer = read(lines, 0.5, Ask("", tokens))
    assert (answer.sent, answer.tokens, answer.events[-1]) == (0.5, tokens, 2.0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(1.0, _event(" a"))], "1 tokens in 1 events where 2"),
        ([(1.0, _event(" a")), (2.0, _event(" b")), (2.0, _usage(1))], "1 tokens in 2 events where 2"),
        ([(2.0, _usage(2))], "2 tokens in 0 events where 2"),
        ([(1.0, _event(" a")), (2.0, b'{"error": {"message": "the engine died"}}')], "the engine died"),
    ],
    ids=["too short", "too short, as the server says", "no text", "an error in mid-stream"],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(lines: list[tuple[float, bytes]], message: str) -> None:
    with pytest.raises(WrongAnswer, match=message):
        read(lines, 0.0, Ask("", 2))


def test_what_comes_before_it_begins_or_after_the_end_is_not_counted() -> None:
    assert result_of([_answer(1.0, 2.0, 4.0), _answer(1.5, 3.0, 9.0)], begun=2.0, end=4.0).rate == 1.5


def test_times_are_those_of_all_answers_until_the_end() -> None:
    result = result_of([_answer(1.0, 2.0, 4.0), _answer(1.5, 3.0, 9.0)], begun=0.0, end=5.0)
    assert result.rate == 1.0
    assert result.gap == (1.5, 2.0)
    assert result.first == (1.25, 1.5)


def test_events_of_several_tokens_count_as_so_many() -> None:
    result = result_of([_answer(1.0, 2.0, tokens=6)], begun=0.0, end=2.0)
    assert (result.rate, result.tokens_per_event) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("events", "before", "during"),
    [
        ((1.0, 2.0, 3.0), [1.0, 1.0], []),
        ((9.0, 10.0, 10.5, 11.0), [1.0], [0.5, 0.5]),
        ((9.0, 12.0, 12.5), [], [3.0]),
        ((9.5, 10.5, 11.5, 12.5), [], [1.0, 1.0]),
        ((13.0, 14.0), [], []),
    ],
    ids=["before it", "while it is computed", "over the whole of it", "into and out of it", "after the last"],
)
def test_gaps_are_parted_by_the_long_prompt(events: tuple[float, ...], before: list[float], during: list[float]) -> None:
    found = disturbed_by([_answer(*events)], [(10.0, 11.0)], [0.7])
    assert (found.before, found.during, found.first_alone, found.first_beside) == (before, during, [0.7], [1.0])


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 51.0), (99, 100.0), (100, 100.0)])
def test_percentiles(percent: int, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


@pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load.name} {load.streams}")
def test_a_load_is_the_same_each_time_and_within_its_bounds(load: Any) -> None:
    words = [f" {number}" for number in range(10_000)]
    (asks, again) = ([ask for ask, _ in zip(load.asks(words), range(20), strict=False)] for _ in range(2))
    assert asks == again
    lengths = [len(ask.prompt.split()) for ask in asks]
    assert load.prompt[0] <= min(lengths)
    assert max(lengths) <= load.prompt[1]
    assert all(load.answer[0] <= ask.answer <= load.answer[1] for ask in asks)
    assert len({ask.prompt.split()[0] for ask in asks}) > 15, "prompts begin alike"
