"""Stop strings in text that comes in pieces."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinion_runtime.model.stop_strings import MOST_STOP_CHARACTERS, MOST_STOPS, StopStrings
from tests.support.fuzzing import EXAMPLES


def give(stops: list[str], texts: list[str]) -> tuple[list[str], str | None]:
    """Return what is given out for each text, and at the end, and the stop string that was met."""
    made = StopStrings(stops)
    given_out, matched = [], None
    for text in texts:
        safe, matched = made.feed(text)
        given_out.append(safe)
    return [*given_out, made.flush()], matched


@pytest.mark.parametrize(
    ("stops", "texts", "given_out", "matched"),
    [
        ([], ["a", "b"], ["a", "b", ""], None),
        (["\n"], ["one\ntwo"], ["one", ""], "\n"),
        (["\n"], ["one", " two", "\n", "three"], ["one", " two", "", "", ""], "\n"),
        (["END"], ["the E", "N", "D of"], ["the ", "", "", ""], "END"),
        (["END"], ["the E", "N", "T"], ["the ", "", "ENT", ""], None),
        (["END"], ["the EN"], ["the ", "EN"], None),  # the tail of an answer is not lost
        (["aab"], ["aa", "a", "b"], ["", "a", "", ""], "aab"),  # only what can't be a beginning any more
        (["abcd", "bc"], ["abc"], ["a", ""], "bc"),  # the first that is complete
        (["bc", "abc"], ["ab", "c"], ["", "", ""], "abc"),  # the longest of those complete at once
        (["abab", "b!"], ["xab", "a", "b"], ["x", "", "", ""], "abab"),
        (["one", "two"], ["two one"], ["", ""], "two"),
        (["STOP", "STOP"], ["a STOP b"], ["a ", ""], "STOP"),
        (["😀"], ["a", "😀", "b"], ["a", "", "", ""], "😀"),
        (["</s>"], ["a<", "/", "b"], ["a", "", "</b", ""], None),
        (["x" * MOST_STOP_CHARACTERS], ["x" * 1023, "y"], ["", "x" * 1023 + "y", ""], None),
        (["x" * MOST_STOP_CHARACTERS], ["a" + "x" * 3000], ["a", ""], "x" * 1024),
    ],
)
def test_stops(stops: list[str], texts: list[str], given_out: list[str], matched: str | None) -> None:
    assert give(stops, texts) == (given_out, matched)


def test_a_long_stop_string_that_never_comes_holds_nothing_back() -> None:
    never = "Quite another text. " * 10
    assert give([never], ["The", " kettle", " sings"]) == (["The", " kettle", " sings", ""], None)


def letter_by_letter(stops: list[str], text: str) -> tuple[str, str | None]:
    """Return the text before the stop string that ends first, the longest of several."""
    for end in range(len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            stop = max(found, key=len)
            return text[: end - len(stop)], stop
    return text, None


LETTERS = st.text("ab\n", max_size=30)


@settings(max_examples=EXAMPLES or 500)
@given(st.lists(st.text("ab\n", min_size=1, max_size=6), max_size=5), st.lists(LETTERS, max_size=8))
def test_it_does_not_matter_how_a_text_is_cut(stops: list[str], texts: list[str]) -> None:
    text = "".join(texts)
    given_out, matched = give(stops, texts)
    assert ("".join(given_out), matched) == letter_by_letter(stops, text)
    assert give(stops, list(text))[1] == matched
    so_far = ""
    for place, safe in enumerate(given_out[:-1]):
        so_far += safe
        if letter_by_letter(stops, "".join(texts[: place + 1]))[1] is None:
            held = "".join(texts[: place + 1])[len(so_far) :]
            beginnings = {stop[:size] for stop in stops for size in range(1, len(stop))}
            assert not held or held in beginnings, "held back longer than needed"


@pytest.mark.parametrize(
    ("stops", "message"),
    [
        (["a", ""], r"stop\[1\] is empty"),
        (["a"] * (MOST_STOPS + 1), "stop has 17 strings; at most 16 are taken"),
        (["a", "x" * (MOST_STOP_CHARACTERS + 1)], r"stop\[1\] has 1025 characters; at most 1024 are taken"),
    ],
)
def test_bounds(stops: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StopStrings(stops)


def test_the_worst_stop_strings_take_microseconds_for_a_token() -> None:
    stops = [f"{'a' * 1022}{chr(97 + place)}b" for place in range(MOST_STOPS)]
    made = StopStrings(stops)
    began = time.process_time()
    for _ in range(5000):
        made.feed("aaaa")
    assert time.process_time() - began < 5  # tried from each place anew it would be minutes
    assert made.flush() == "a" * 1023
