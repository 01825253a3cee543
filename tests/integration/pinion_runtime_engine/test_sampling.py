"""The sampler against the logits processors and warpers of transformers: what may come, how often, and whose random numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinion_runtime.engines.protocol import Sampling
from pinion_runtime.engines.transformers.generation.sampling import choose
from pinion_runtime.errors import ErrorCode, InvalidInput
from tests.support.sampling import assert_distributed, draw, expected, make_logits, make_row, tokens_of

pytestmark = pytest.mark.model

INFINITY = math.inf
PROMPT, ANSWER = (3, 7, 7, 1, 40), (7, 9, 9, 9, 2)


CASES: dict[str, dict[str, Any]] = {
    "everything": {},
    "temperature": {"temperature": 0.6},
    "temperature 2": {"temperature": 2.0},
    "temperature 1e-4": {"temperature": 1e-4},
    "temperature 1e6": {"temperature": 1e6},
    "top_k": {"top_k": 20},
    "top_k past the head": {"top_k": 200},
    "top_k past the vocabulary": {"top_k": 10**6},
    "top_p": {"top_p": 0.9},
    "top_p half": {"top_p": 0.5},
    "top_p small": {"top_p": 0.03},
    "top_p 1e-5": {"top_p": 1e-5},
    "top_p 1 - 1e-7": {"top_p": 1 - 1e-7},
    "min_p": {"min_p": 0.3},
    "min_p small": {"min_p": 0.01},
    "min_p 1": {"min_p": 1.0},
    "top_k and top_p": {"top_k": 30, "top_p": 0.7},
    "top_k past the head and top_p": {"top_k": 250, "top_p": 0.8},
    "top_k past the head and top_p small": {"top_k": 250, "top_p": 0.1},
    "top_k and min_p": {"top_k": 40, "min_p": 0.2},
    "top_p and min_p": {"top_p": 0.6, "min_p": 0.1},
    "all": {"temperature": 1.3, "top_k": 60, "top_p": 0.8, "min_p": 0.05},
    "all past the head": {"temperature": 1.3, "top_k": 300, "top_p": 0.95, "min_p": 0.02},
    "hot and truncated": {"temperature": 1e6, "top_k": 10},
    "hot nucleus": {"temperature": 1e6, "top_p": 0.5},
    "bias": {"logit_bias": {5: 3.0, 11: -100.0, 17: 2.0}},
    "bias and top_k": {"logit_bias": {5: 3.0, 11: -100.0, 17: 100.0}, "top_k": 5},
    "repetition penalty": {"repetition_penalty": 1.7, "prompt": PROMPT, "answer": ANSWER},
    "repetition reward": {"repetition_penalty": 0.6, "prompt": PROMPT, "answer": ANSWER},
    "presence penalty": {"presence_penalty": 1.5, "prompt": PROMPT, "answer": ANSWER},
    "frequency penalty": {"frequency_penalty": -0.8, "prompt": PROMPT, "answer": ANSWER},
    "min_tokens": {"min_tokens": 3, "end_ids": (4, 6)},
    "all together": {
        "repetition_penalty": 1.2,
        "presence_penalty": 0.4,
        "frequency_penalty": 0.3,
        "logit_bias": {2: 1.0, 60: -1.0},
        "min_tokens": 9,
        "end_ids": (9, 30),
        "temperature": 0.8,
        "top_k": 50,
        "top_p": 0.9,
        "min_p": 0.02,
        "prompt": PROMPT,
        "answer": ANSWER,
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("vocabulary", "scale"), [(90, 1.5), (600, 1.0), (700, 4.0)], ids=["small", "flat", "peaked"])
def test_as_transformers_has_it(vocabulary: int, scale: float, case: dict[str, Any]) -> None:
    logits = make_logits(vocabulary, scale)
    before = logits.clone()
    assert_distributed(draw(logits, make_row(vocabulary, seed=5, **case)), expected(logits, **case))
    assert torch.equal(logits, before), "the caller's logits were changed"


@pytest.mark.parametrize(
    "case", [{}, {"top_k": 30}, {"top_k": 3, "top_p": 0.5}, {"top_p": 0.6}, {"top_p": 0.02}, {"min_p": 0.4}]
)
@pytest.mark.parametrize("vocabulary", [90, 600])
def test_many_equal_logits(vocabulary: int, case: dict[str, Any]) -> None:
    # As bfloat16 has them: a nucleus then ends within a run of equals, and top_k keeps a whole run.
    logits = (make_logits(vocabulary) * 2).round() / 2
    assert_distributed(draw(logits, make_row(vocabulary, **case)), expected(logits, **case))


@pytest.mark.parametrize(
    "case", [{"top_k": 2500, "min_p": 0.3}, {"top_k": 2500, "top_p": 0.1, "min_p": 0.8}, {"top_p": 0.15, "min_p": 0.7}], ids=str
)
def test_a_search_keeps_to_all_limits(case: dict[str, Any]) -> None:
    logits = make_logits(3000, 0.3)
    assert_distributed(draw(logits, make_row(3000, **case)), expected(logits, **case))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", [{}, {"top_p": 0.7}, {"top_k": 9}, {"logit_bias": {3: 1.0}, "min_p": 0.1}])
def test_every_dtype(dtype: torch.dtype, case: dict[str, Any]) -> None:
    logits = make_logits(300, 2).to(dtype)
    assert_distributed(draw(logits, make_row(300, **case)), expected(logits, **case))


GREEDY: dict[str, dict[str, Any]] = {
    "temperature 0": {"temperature": 0.0},
    "temperature 1e-5": {"temperature": 1e-5},
    "top_k 1": {"top_k": 1, "temperature": 2.0},
    "top_p 0": {"top_p": 0.0},
    "top_p 1e-30": {"top_p": 1e-30},
}


@pytest.mark.parametrize("case", GREEDY.values(), ids=GREEDY)
@pytest.mark.parametrize("vocabulary", [1, 2, 63, 64, 65, 128, 129, 1000])
def test_the_likeliest_and_of_equals_the_first(vocabulary: int, case: dict[str, Any]) -> None:
    logits = make_logits(vocabulary, seed=vocabulary)
    assert set(draw(logits, make_row(vocabulary, **case), 50)) == {int(logits.argmax())}
    assert set(draw(torch.zeros(1, vocabulary), make_row(vocabulary, **case), 50)) == {0}
    logits[0, [vocabulary // 3, vocabulary // 2, vocabulary - 1]] = 9.0
    assert set(draw(logits, make_row(vocabulary, **case), 50)) == {vocabulary // 3}


def test_greedy_with_penalties_and_bias() -> None:
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0]])
    for case, token in [
        ({}, 0),
        ({"logit_bias": {2: 2.5}}, 2),
        ({"logit_bias": {3: 100.0}}, 3),
        ({"logit_bias": {0: -100.0}}, 1),
        ({"presence_penalty": 1.5, "answer": (0, 0, 0)}, 1),
        ({"frequency_penalty": 0.4, "answer": (0, 0)}, 0),
        ({"frequency_penalty": 0.4, "answer": (0, 0, 0)}, 1),
        ({"frequency_penalty": 0.4, "prompt": (0, 0, 0)}, 0),
        ({"repetition_penalty": 2.0, "prompt": (0, 0), "answer": (1,)}, 2),
    ]:
        row = make_row(4, temperature=0.0, **case)
        assert tokens_of(choose(logits, [row])) == [token], case


ODD_CASES: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {},
    {"top_p": 0.5},
    {"top_k": 7},
    {"top_k": 200, "top_p": 0.9},
    {"min_p": 1.0},
    {"temperature": 1e6, "top_p": 1e-5},
    {"logit_bias": {0: 1.0}},
]


@pytest.mark.parametrize("case", ODD_CASES, ids=str)
@pytest.mark.parametrize("vocabulary", [1, 64, 65, 1000])
def test_one_finite_logit(vocabulary: int, case: dict[str, Any]) -> None:
    logits = torch.full((1, vocabulary), -INFINITY)
    logits[0, vocabulary // 2] = -3.0
    assert set(draw(logits, make_row(vocabulary, **case), 50)) == {vocabulary // 2}


@pytest.mark.parametrize("case", ODD_CASES, ids=str)
@pytest.mark.parametrize("number", [math.nan, INFINITY, -INFINITY])
@pytest.mark.parametrize("vocabulary", [1, 64, 1000])
def test_what_is_not_finite_fails_and_spares_its_neighbours(vocabulary: int, number: float, case: dict[str, Any]) -> None:
    logits = make_logits(vocabulary).repeat(3, 1)
    if number == -INFINITY:
        logits[1] = number
    else:
        logits[1, vocabulary - 1] = number
    rows = [make_row(vocabulary, logprobs=1, **case) for _ in range(3)]
    first, bad, last = choose(logits, rows)
    assert bad.token == -1
    assert bad.logprobs is None
    assert bad.failure is not None
    assert bad.failure.code == ErrorCode.NON_FINITE_RESULT
    assert "heron" in bad.failure.message
    for good in (first, last):
        assert good.failure is None
        assert 0 <= good.token < vocabulary


@pytest.mark.parametrize("case", [{"temperature": 0.0}, {}, {"top_p": 0.9}])
def test_nothing_is_left_that_may_come(case: dict[str, Any]) -> None:
    logits = torch.full((1, 5), -INFINITY)
    logits[0, 2] = 1.0
    row = make_row(5, min_tokens=1, end_ids=(2,), **case)
    (chosen,) = choose(logits, [row])
    assert chosen.token == -1
    assert chosen.failure is not None
    row.accept(0)
    assert tokens_of(choose(logits, [row])) == [2]


@pytest.mark.parametrize("case", [{}, {"top_p": 0.9}, {"top_k": 200}, {"top_k": 200, "top_p": 0.9}, {"min_p": 0.5}])
def test_huge_logits_and_a_low_temperature(case: dict[str, Any]) -> None:
    logits = make_logits(500)
    logits[0, 7], logits[0, 8] = 3e38, 2.9e38
    assert set(draw(logits, make_row(500, temperature=1e-3, **case), 50)) == {7}
    assert set(draw(logits - 3.2e38, make_row(500, temperature=1e-3, **case), 50)) == {7}


ENDS: dict[str, tuple[dict[str, Any], set[int]]] = {
    "neither end nor stop": ({"min_tokens": 2, "end_ids": (0, 1), "stop_ids": (2,)}, {3, 4}),
    "no min_tokens": ({"end_ids": (0, 1), "stop_ids": (2,)}, {0, 1, 2, 3, 4}),
    "ignored ends": ({"min_tokens": 2, "end_ids": (0, 1), "stop_ids": (2,), "ignore_end": True}, {0, 1, 3, 4}),
    "an end past the vocabulary": ({"min_tokens": 2, "end_ids": (1, 5, 99)}, {0, 2, 3, 4}),
}


@pytest.mark.parametrize(("case", "may_come"), ENDS.values(), ids=ENDS)
def test_ids_that_end_too_early(case: dict[str, Any], may_come: set[int]) -> None:
    logits = torch.zeros(1, 5)
    row = make_row(5, **case)
    for _ in range(2):
        assert set(draw(logits, row, 200)) == may_come
        row.accept(3)
    assert set(draw(logits, row, 200)) == {0, 1, 2, 3, 4}, "after min_tokens everything may come"


def test_ids_past_the_logits_in_a_prompt_are_no_error() -> None:
    row = make_row(5, prompt=(1, 5, 6, 99), repetition_penalty=2.0, temperature=0.0)
    assert tokens_of(choose(torch.tensor([[1.0, 3.0, 2.0, 0.0, 0.0]]), [row])) == [2]


@pytest.mark.parametrize("token", [-1, 5])
def test_a_bias_of_an_id_past_the_logits_is_refused(token: int) -> None:
    with pytest.raises(InvalidInput, match=f"logit_bias: id {token} "):
        make_row(5, logit_bias={token: 1.0})


def test_penalties_follow_a_long_answer() -> None:
    logits, answer = make_logits(400, 2), [int(token) for token in np.random.default_rng(3).integers(0, 400, 700)]
    case: dict[str, Any] = {"repetition_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.5, "prompt": PROMPT}
    row = make_row(400, answer=answer, **case)
    assert_distributed(draw(logits, row), expected(logits, answer=answer, **case))


MIXED: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"top_p": 0.9},
    {"top_p": 0.05},
    {"top_k": 40, "top_p": 0.9},
    {"top_k": 300},
    {"min_p": 0.1, "temperature": 1.5},
    {"repetition_penalty": 1.3, "presence_penalty": 0.5},
    {"temperature": 0.0, "frequency_penalty": 0.5},
    {"logit_bias": {4: 2.0}, "top_p": 0.5},
    {"min_tokens": 3, "end_ids": (1, 2)},
    {"logprobs": 3},
]


def write(places: Sequence[int], vocabulary: int, dtype: torch.dtype, steps: int = 6) -> dict[int, list[int]]:
    """Return the tokens of these sequences, in one batch in this order; a sequence's logits depend on its own last token."""
    rows = {place: make_row(vocabulary, seed=place, **MIXED[place % len(MIXED)]) for place in places}
    texts: dict[int, list[int]] = {place: [place] for place in places}
    table = torch.randn(64, vocabulary, generator=torch.Generator().manual_seed(1)).mul(2).to(dtype)
    for _ in range(steps):
        logits = torch.stack([table[texts[place][-1] % 64] for place in places])
        for place, chosen in zip(places, choose(logits, [rows[place] for place in places]), strict=True):
            texts[place].append(chosen.token)
            rows[place].accept(chosen.token)
    return texts


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [500, 50_001])
def test_neighbours_do_not_change_a_text(vocabulary: int, dtype: torch.dtype) -> None:
    places = range(2 * len(MIXED))
    together = write(places, vocabulary, dtype)
    assert write(places[::-1], vocabulary, dtype) == together
    for company in ([0], [5], [2, 20, 3], [*range(7, 19)]):
        assert write(company, vocabulary, dtype) == {place: together[place] for place in company}, f"in company {company}"


@pytest.mark.parametrize("case", MIXED, ids=str)
def test_logits_that_do_not_lie_in_order(case: dict[str, Any]) -> None:
    whole = torch.randn(4, 3, 300, generator=torch.Generator().manual_seed(2))
    for logits in (whole[:, -1], whole[:, 1].t().contiguous().t(), whole[::2, 0]):
        rows, same = ([make_row(300, seed=place, **case) for place in range(len(logits))] for _ in range(2))
        assert tokens_of(choose(logits, rows)) == tokens_of(choose(logits.contiguous(), same))


def test_the_number_of_threads_changes_no_text_and_stays() -> None:
    threads, texts = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            texts.append(write(range(len(MIXED)), 50_001, torch.float32, steps=4))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert texts[1:] == texts[:-1]


def test_no_rows() -> None:
    assert choose(torch.empty(0, 5), []) == []


def test_seeds() -> None:
    logits = make_logits(1000)

    def text(**options: Any) -> list[int]:
        return draw(logits, make_row(1000, **options), 50)

    assert text(seed=4) == text(seed=4)
    assert text(seed=4) != text(seed=5)
    assert text(seed=4, choice=1) == text(seed=5)
    assert text(seed=-4) != text(seed=4)
    assert text(seed=2**64 - 1, choice=1) == text(seed=0)
    assert len({tuple(text(seed=9, choice=choice)) for choice in range(8)}) == 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", [{}, {"temperature": 0.0}, {"temperature": 0.3, "top_k": 2, "logit_bias": {8: 50.0}}])
def test_logprobs_are_the_models_own(dtype: torch.dtype, case: dict[str, Any]) -> None:
    logits = make_logits(400, 3).repeat(4, 1).to(dtype)
    rows = [make_row(400, logprobs=count, seed=3, **case) for count in (-1, 0, 1, 20)]
    none, bare, one, twenty = choose(logits, rows)
    reference = torch.log_softmax(logits[0].float(), -1)
    assert none.logprobs is None
    for chosen, count in ((bare, 0), (one, 1), (twenty, 20)):
        assert chosen.logprobs is not None
        assert chosen.logprobs.logprob == float(reference[chosen.token])
        order = reference.sort(descending=True, stable=True)
        assert chosen.logprobs.top_ids == order.indices[:count].tolist()
        assert chosen.logprobs.top_logprobs == order.values[:count].tolist()


def test_logprobs_of_equals_and_of_a_small_vocabulary() -> None:
    (chosen,) = choose(torch.zeros(1, 300), [make_row(300, temperature=0.0, logprobs=3)])
    assert chosen.logprobs is not None
    assert chosen.logprobs.top_ids == [0, 1, 2]
    (chosen,) = choose(torch.tensor([[0.0, -INFINITY, 1.0]]), [make_row(3, logprobs=20)])
    assert chosen.logprobs is not None
    assert chosen.logprobs.top_ids == [2, 0, 1]
    assert chosen.logprobs.top_logprobs[2] == -INFINITY


def allowed(logits: np.ndarray, sampling: Sampling) -> set[int]:
    """Return what may come, naively: by a sort, in float64, with some room for rounding where a limit falls on an id."""
    scaled = (logits - logits.max()) / sampling.temperature
    order = np.lexsort((np.arange(len(logits)), -logits))
    chances = np.exp(scaled)[order]
    chances /= chances.sum()
    kept = chances > 0
    if sampling.top_k:
        kept &= logits[order] >= logits[order][min(sampling.top_k, len(order)) - 1]
    mass = chances[kept].sum()
    kept &= (np.cumsum(chances) - chances) < sampling.top_p * mass + 1e-6
    kept &= chances >= sampling.min_p * chances[0] * (1 - 1e-5)
    return set(order[kept].tolist()) | {int(order[0])}


@settings(max_examples=150, deadline=None)
@given(
    numbers=st.lists(st.one_of(st.floats(-30, 30, width=32), st.integers(-3, 3), st.just(-INFINITY)), min_size=1, max_size=30),
    times=st.integers(1, 15),
    sampling=st.builds(
        Sampling,
        seed=st.integers(0, 2**64 - 1),
        temperature=st.floats(1e-3, 100),
        top_p=st.one_of(st.just(1.0), st.floats(0.001, 1)),
        top_k=st.integers(0, 400),
        min_p=st.one_of(st.just(0.0), st.floats(0, 1)),
    ),
)
def test_what_comes_is_allowed(numbers: list[float], times: int, sampling: Sampling) -> None:
    row_of_numbers = np.array(numbers * times, np.float32)
    row = make_row(len(row_of_numbers), **{name: getattr(sampling, name) for name in sampling.__struct_fields__})
    logits = torch.from_numpy(row_of_numbers)[None]
    chosen = choose(logits.expand(8, -1), [row] * 8)
    if not np.isfinite(row_of_numbers).any():
        assert all(one.failure is not None for one in chosen)
        return
    if sampling.top_k == 1:
        assert set(tokens_of(chosen)) == {int(row_of_numbers.argmax())}
        return
    assert set(tokens_of(chosen)) <= allowed(row_of_numbers.astype(np.float64), sampling)
