"""What a decoder decides without computing: groups, moves, rows to begin in, pieces of prefill, the shape of the cache."""

import random
from collections.abc import Sequence

import pytest

from pinion_runtime.engines.transformers.generation.arrangement import exchanges, length_group, side_by_side
from pinion_runtime.engines.transformers.generation.capacity import Capacity, check_wishes, plan
from pinion_runtime.engines.transformers.generation.prefill import FIRST, LEAST, MOST, ChunkSize, divide
from pinion_runtime.engines.transformers.generation.prefixes import Place, Start, choose_start, common
from pinion_runtime.errors import EngineLoadError, EngineOutOfMemory

MEBIBYTE = 1 << 20

# --- groups and moves


@pytest.mark.parametrize(
    ("tokens", "group"), [(0, 0), (1, 0), (256, 0), (257, 1), (1024, 1), (1025, 2), (4096, 2), (4097, 3), (131_072, 5)]
)
def test_sequences_are_grouped_by_length(tokens: int, group: int) -> None:
    assert length_group(tokens) == group


@pytest.mark.parametrize(
    ("classes", "moves"),
    [
        ([], 0),
        ([0, 0, 1, 2], 0),
        ([1, 0], 1),
        ([0, 2, 0, 1, 2], 2),
        ([0, 0, 3, 1, 1, 3], 1),
        ([1, 2, 0], 2),
    ],
)
def test_rows_are_moved_as_little_as_may_be(classes: list[int], moves: int) -> None:
    found = exchanges(classes)
    assert len(found) == moves
    for one, other in found:
        classes[one], classes[other] = classes[other], classes[one]
    assert classes == sorted(classes)


@pytest.mark.parametrize(
    ("classes", "together"),
    [([], True), ([1, 0, 0], True), ([2, 0, 0, 2], True), ([0, 2, 0], False), ([0, 1, 0], False), ([2, 1, 2, 0], True)],
)
def test_rows_of_a_pass_stay_where_they_lie_beside_each_other(classes: list[int], together: bool) -> None:
    assert side_by_side(classes, below=2) == together


def test_any_order_ends_sorted_with_at_most_one_exchange_for_each_misplaced_row() -> None:
    dice = random.Random(0)
    for _ in range(500):
        classes = [dice.randrange(4) for _ in range(dice.randrange(12))]
        misplaced = sum(one != other for one, other in zip(classes, sorted(classes), strict=True))
        found = exchanges(classes)
        assert len(found) <= max(0, misplaced - 1)
        for one, other in found:
            classes[one], classes[other] = classes[other], classes[one]
        assert classes == sorted(classes)


# --- where a prompt begins

PROMPT = list(range(100, 140))


def place(tokens: Sequence[int] = (), owner: str = "ada", used: int = 1, *, free: bool = True) -> Place:
    return Place(free, list(tokens), owner, used)


@pytest.mark.parametrize(
    ("places", "start"),
    [
        pytest.param([], None, id="no rows"),
        pytest.param([place(PROMPT, free=False)], None, id="no free row"),
        pytest.param([place(free=False), place()], Start(1, 1, 0), id="an empty row"),
        pytest.param([place([1, 2], used=1), place(used=9)], Start(1, 1, 0), id="an empty row before one with tokens"),
        pytest.param([place([1], used=2), place([2], used=1)], Start(1, 1, 0), id="the one not used for longest"),
        pytest.param([place(), place(PROMPT)], Start(1, 1, 39), id="the last token is computed again"),
        pytest.param([place(), place(PROMPT, owner="bob")], Start(0, 0, 0), id="of another owner"),
        pytest.param([place(), place(PROMPT[:15])], Start(0, 0, 0), id="too short a beginning"),
        pytest.param([place(), place(PROMPT[:16])], Start(1, 1, 16), id="just long enough"),
        pytest.param([place(), place(PROMPT[:20], free=False)], Start(0, 1, 20), id="of a running one: copied"),
        pytest.param([place(), place(PROMPT[:20] + [7] * 20)], Start(1, 1, 20), id="half of it is used: taken over"),
        pytest.param([place(), place(PROMPT[:20] + [7] * 21)], Start(0, 1, 20), id="more than half would be lost: copied"),
        pytest.param([place(PROMPT[:20] + [7] * 21)], Start(0, 0, 20), id="no other row to copy into"),
        pytest.param([place(PROMPT[:20]), place(PROMPT[:30])], Start(1, 1, 30), id="the longest beginning"),
        pytest.param([place(PROMPT, free=False), place(PROMPT)], Start(1, 1, 39), id="of equals the free one"),
    ],
)
def test_where_a_prompt_begins(places: list[Place], start: Start | None) -> None:
    assert choose_start(places, PROMPT, "ada") == start


@pytest.mark.parametrize(
    ("one", "other", "limit", "expected"),
    [([], [], 5, 0), ([1], [2], 5, 0), ([1, 2], [1, 2, 3], 5, 2), ([1, 2, 3], [1, 2, 3], 2, 2), ([1, 2, 4], [1, 2, 3], 9, 2)],
)
def test_the_common_beginning(one: list[int], other: list[int], limit: int, expected: int) -> None:
    assert common(one, other, limit) == expected


# --- pieces of prefill


@pytest.mark.parametrize(
    ("pending", "budget", "fed"),
    [
        ([10], 64, [10]),
        ([100], 64, [64]),
        ([100, 10], 64, [54, 10]),
        ([100, 200], 64, [32, 32]),
        ([10, 200], 64, [10, 54]),
        ([100, 30, 5], 64, [32, 27, 5]),
        ([1, 1, 1], 2, [1, 1, 0]),
        ([1000, 1000], 1, [1, 0]),
    ],
)
def test_a_budget_is_divided_among_prompts(pending: list[int], budget: int, fed: list[int]) -> None:
    assert divide(pending, budget) == fed


def settle(step: float, base: float, per_token: float, rounds: int = 40) -> tuple[int, float]:
    """Return the size that a machine of these times leads to, and what such a piece adds to a step."""
    chunk = ChunkSize()
    for _ in range(rounds):
        chunk.stepped(0, step, answered=1)
        tokens = chunk.tokens(answered=1, begun=1)
        chunk.stepped(tokens, step + base + per_token * tokens, answered=1)
    tokens = chunk.tokens(answered=1, begun=1)
    return tokens, base + per_token * tokens


@pytest.mark.parametrize(
    ("step", "base", "per_token"),
    [
        pytest.param(0.0126, 0.010, 0.00027, id="one sequence beside it"),
        pytest.param(0.0215, 0.015, 0.00027, id="eight"),
        pytest.param(0.0318, 0.015, 0.00027, id="sixteen"),
        pytest.param(0.4, 0.3, 0.02, id="a large model"),
        pytest.param(0.01, 0.0, 0.0004, id="passes that cost nothing by themselves"),
    ],
)
def test_a_piece_makes_a_step_at_most_three_times_as_long_and_not_much_less(step: float, base: float, per_token: float) -> None:
    tokens, seconds = settle(step, base, per_token)
    assert seconds <= 2 * step
    assert tokens % 16 == 0
    assert base + per_token * (tokens + 32) > 1.2 * step


@pytest.mark.parametrize(("per_token", "size"), [(1.0, LEAST), (1e-9, MOST)])
def test_a_piece_has_bounds(per_token: float, size: int) -> None:
    assert settle(0.01, 0.0, per_token)[0] == size


@pytest.mark.parametrize(
    ("answered", "begun", "tokens"),
    [
        pytest.param(0, 1, MOST, id="nobody waits for it"),
        pytest.param(7, 1, FIRST, id="a prompt beside seven answers"),
        pytest.param(4, 4, FIRST, id="as many as answers"),
        pytest.param(2, 5, FIRST * 5 // 2, id="more"),
        pytest.param(3, 4, 80, id="a multiple of 16"),
        pytest.param(1, 15, MOST, id="many at once"),
    ],
)
def test_who_comes_counts_as_much_as_who_is_answered(answered: int, begun: int, tokens: int) -> None:
    assert knowing(answered).tokens(answered=answered, begun=begun) == tokens


def knowing(answered: int, seconds: float = 0.01) -> ChunkSize:
    """Return one that knows how long a step of so many answers takes."""
    chunk = ChunkSize()
    chunk.stepped(0, seconds, answered=answered)
    return chunk


def test_one_wrong_measurement_halves_a_piece_at_most() -> None:
    chunk = knowing(1)
    chunk.stepped(64, 30.0, answered=1)
    assert chunk.tokens(answered=1, begun=1) == 32
    chunk.stepped(32, 0.01 + 32 * 1e-6, answered=1)
    assert chunk.tokens(answered=1, begun=1) == 64, "the next, which is right, outweighs it"


@pytest.mark.parametrize(
    ("answered", "tokens"), [(0, MOST), (1, FIRST - 1), (7, FIRST - 7), (16, FIRST), (20, FIRST - 4), (100, FIRST - 4)]
)
def test_a_piece_and_the_answers_beside_it_are_a_multiple_together(answered: int, tokens: int) -> None:
    assert knowing(answered).tokens(answered=answered, begun=1, packed=True) == tokens


@pytest.mark.parametrize("answered", range(1, 40))
def test_a_piece_that_became_small_grows_again_beside_any_number_of_answers(answered: int) -> None:
    chunk = knowing(answered)
    for seconds in [30.0] * 10 + [0.0101] * 20:
        chunk.stepped(chunk.tokens(answered=answered, begun=1, packed=True), seconds, answered=answered)
    assert chunk.tokens(answered=answered, begun=1, packed=True) > FIRST


def test_the_end_of_a_prompt_says_nothing_of_pieces() -> None:
    chunk = knowing(1)
    chunk.stepped(3, 0.02, answered=1)
    assert chunk.tokens(answered=1, begun=1) == FIRST


def test_steps_of_prompts_alone_say_nothing_of_what_answers_wait_for() -> None:
    chunk = knowing(1)
    chunk.stepped(MOST, 30.0, answered=0)
    assert chunk.tokens(answered=1, begun=1) == FIRST


def test_where_no_step_of_so_many_is_known_one_goes_without_a_piece() -> None:
    chunk = knowing(1)
    assert chunk.tokens(answered=40, begun=1) == 0
    chunk.stepped(0, 0.06, answered=40)
    chunk.stepped(64, 0.06 + 64 * 0.001, answered=40)
    assert chunk.tokens(answered=40, begun=1) == 80, "by the steps of forty: 1.45 of them"


def test_under_steady_load_a_step_without_a_piece_comes_now_and_then() -> None:
    chunk = knowing(8)
    pieces = []
    for _ in range(300):
        pieces.append(chunk.tokens(answered=8, begun=1))
        chunk.stepped(pieces[-1], 0.01 + pieces[-1] * 0.0001, answered=8)
    assert 3 <= pieces.count(0) <= 6


# --- the shape of the cache


@pytest.mark.parametrize(
    ("own", "context", "sequences", "free", "expected"),
    [
        pytest.param(2048, 0, 0, 1 << 30, Capacity(2048, 64), id="all that it may have"),
        pytest.param(2048, 0, 0, 20 * MEBIBYTE, Capacity(2048, 10), id="as many as memory gives"),
        pytest.param(2048, 0, 0, 4 * MEBIBYTE, Capacity(1024, 4), id="a shorter context for four"),
        pytest.param(131_072, 0, 0, 64 * MEBIBYTE, Capacity(16_384, 4), id="a long context fits nowhere"),
        pytest.param(2048, 512, 0, 4 * MEBIBYTE, Capacity(512, 8), id="a context that was asked for"),
        pytest.param(2048, 4096, 0, 20 * MEBIBYTE, Capacity(2048, 10), id="never past the model's own"),
        pytest.param(2048, 0, 2, 4 * MEBIBYTE, Capacity(2048, 2), id="sequences that were asked for"),
        pytest.param(2048, 0, 16, 4 * MEBIBYTE, Capacity(256, 16), id="many of them"),
        pytest.param(2048, 0, 100, 1 << 30, Capacity(2048, 100), id="more than it takes by itself"),
        pytest.param(2048, 2048, 0, 2 * MEBIBYTE, Capacity(2048, 1), id="one is enough where the length is asked for"),
        pytest.param(50, 0, 0, MEBIBYTE, Capacity(50, 20), id="a context shorter than what it is cut by"),
    ],
)
def test_the_shape_of_the_cache(own: int, context: int, sequences: int, free: int, expected: Capacity) -> None:
    """Of a model of which a token takes a KiB."""
    assert plan(own, context, sequences, 1024, free) == expected


@pytest.mark.parametrize(
    ("context", "sequences", "free", "message"),
    [
        (2048, 0, MEBIBYTE, r"1 sequences \(max_sequences\) of 2048 tokens \(context_length\) take 2 MiB of cache, .* 1 MiB"),
        (2048, 4, 4 * MEBIBYTE, r"4 sequences \(max_sequences\) of 2048 tokens \(context_length\) take 8 MiB"),
        (0, 0, 1024, r"of 64 tokens"),
    ],
)
def test_what_memory_does_not_give_is_refused_with_the_numbers(context: int, sequences: int, free: int, message: str) -> None:
    with pytest.raises(EngineOutOfMemory, match=message):
        plan(2048, context, sequences, 1024, free)


@pytest.mark.parametrize(("context", "sequences", "name"), [(-1, 0, "context_length is -1"), (0, -2, "max_sequences is -2")])
def test_wishes_below_nothing_are_refused(context: int, sequences: int, name: str) -> None:
    with pytest.raises(EngineLoadError, match=name):
        check_wishes(context, sequences)
