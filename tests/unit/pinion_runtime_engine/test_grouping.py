import numpy as np
import pytest

from pinion_runtime.engines.transformers.grouping import group_by_length, pad_rows


def lengths_of(groups: list, lengths: np.ndarray) -> list[list[int]]:
    return [lengths[indices].tolist() for indices, _ in groups]


@pytest.mark.parametrize("seed", range(20))
def test_every_text_is_in_one_group_and_padding_is_bounded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 300, size=rng.integers(1, 200), dtype=np.int32)
    groups = group_by_length(lengths, 2048, 32)
    assert sorted(np.concatenate([indices for indices, _ in groups]).tolist()) == list(range(len(lengths)))
    for indices, longest in groups:
        assert longest == lengths[indices].max()
        assert len(indices) == 1 or longest * len(indices) <= 2048
    assert [longest for _, longest in groups] == sorted(longest for _, longest in groups)


def test_near_lengths_share_a_pass_and_far_ones_do_not() -> None:
    lengths = np.array([250, 9, 8, 10, 251], dtype=np.int32)
    assert lengths_of(group_by_length(lengths, 2048, 32), lengths) == [[8, 9, 10], [250, 251]]


def cost(groups: list[list[int]], pass_cost: int) -> int:
    return sum(pass_cost + max(group) * len(group) for group in groups)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_cut_is_cheaper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, size=rng.integers(1, 10), dtype=np.int32)
    ordered = sorted(lengths.tolist())
    every_cut = []
    for bits in range(2 ** (len(ordered) - 1)):
        groups: list[list[int]] = [[ordered[0]]]
        for place, length in enumerate(ordered[1:]):
            if bits >> place & 1:
                groups.append([])
            groups[-1].append(length)
        if all(len(group) == 1 or max(group) * len(group) <= 60 for group in groups):
            every_cut.append(cost(groups, 12))
    assert cost(lengths_of(group_by_length(lengths, 60, 12), lengths), 12) == min(every_cut)


def test_many_texts_of_one_length_fill_passes() -> None:
    lengths = np.full(10, 8, dtype=np.int32)
    assert [len(group) for group in lengths_of(group_by_length(lengths, 32, 5), lengths)] == [4, 4, 2]


def test_a_text_over_the_budget_goes_alone() -> None:
    lengths = np.array([500, 5, 500], dtype=np.int32)
    assert lengths_of(group_by_length(lengths, 100, 32), lengths) == [[5], [500], [500]]


def test_rows_are_padded_on_the_right() -> None:
    tokens = np.array([1, 2, 3, 4, 5, 6], dtype=np.int32)
    ids, mask = pad_rows(tokens, np.array([3, 0]), np.array([3, 1], dtype=np.int32), 4, 9)
    assert ids.tolist() == [[4, 5, 6, 9], [1, 9, 9, 9]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64
