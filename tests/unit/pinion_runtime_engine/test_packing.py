"""How sequences lie in a pass: which tokens, in which rows, at which positions, and where each line ends."""

import pytest
import torch

from pinion_runtime.engines.transformers.generation.masks import visible_keys
from pinion_runtime.engines.transformers.generation.packing import Line, Packing, pack, padded, split

pytestmark = pytest.mark.model

CPU = torch.device("cpu")
LENGTH = 100


def lay_out(*lines: Line, packed: bool) -> Packing:
    return pack(lines, LENGTH, CPU, visible_keys, packed=packed)


@pytest.mark.parametrize(
    ("counts", "packed", "expected"),
    [
        ([1, 1, 1], True, [1, 1, 1]),
        ([1, 1, 1], False, [1, 1, 1]),
        ([1, 1, 20], True, [1, 1, 30]),
        ([1, 20, 9], True, [1, 22, 9]),
        ([16, 16], True, [16, 16]),
        ([2], True, [16]),
        ([5, 17], False, [32, 32]),
    ],
)
def test_passes_with_prompts_have_a_multiple_of_tokens(counts: list[int], packed: bool, expected: list[int]) -> None:
    assert padded(counts, packed=packed) == expected


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        pytest.param([Line(0, 5, [1]), Line(1, 9, [1])], [[0, 1]], id="neighbours"),
        pytest.param([Line(0, 5, [1]), Line(2, 9, [1])], [[0], [1]], id="a row between them"),
        pytest.param([Line(0, 5, [1]), Line(1, 900, [1])], [[0], [1]], id="one much longer"),
        pytest.param([Line(0, 5, [1]), Line(1, 0, [1, 2]), Line(2, 5, [1])], [[0], [1], [2]], id="a prompt between them"),
        pytest.param([Line(0, 0, [1, 2]), Line(1, 0, [1, 2])], [[0], [1]], id="two prompts"),
        pytest.param([Line(3, 0, [1])], [[0]], id="one"),
    ],
)
def test_single_tokens_of_neighbours_are_one_part(lines: list[Line], parts: list[list[int]]) -> None:
    assert list(split(lines, [len(line.ids) for line in lines])) == parts


def test_a_packed_pass_is_one_row_of_all_tokens() -> None:
    packing = lay_out(Line(0, 7, [70]), Line(1, 40, [71]), Line(4, 2, [5, 6, 7]), packed=True)
    pad = 11
    assert packing.ids.tolist() == [[70, 71, 5, 6, 7, *[7] * pad]]
    assert packing.positions.tolist() == [[7, 40, 2, 3, 4, *[4] * pad]]
    assert packing.now.rows.tolist() == [0, 1, *[4] * (3 + pad)]
    assert packing.ends == [(0, 0), (0, 1), (0, 4)]
    first, second = packing.now.parts
    assert (first.start, first.stop, first.positions.tolist(), first.width, first.padded) == (0, 2, [[7], [40]], 64, False)
    assert (second.start, second.stop, second.positions.shape, second.width, second.padded) == (4, 5, (1, 14), 32, True)


def test_an_unpacked_pass_has_a_row_for_each() -> None:
    packing = lay_out(Line(2, 0, [5, 6]), Line(3, 97, [8, 9, 10]), packed=False)
    assert packing.ids.tolist() == [[5, *[6] * 15], [8, 9, *[10] * 14]]
    assert packing.now.rows.tolist() == [*[2] * 16, *[3] * 16]
    assert packing.positions.tolist() == [[0, *[1] * 15], [97, 98, *[99] * 14]]
    assert packing.ends == [(0, 1), (1, 2)]
    (part,) = packing.now.parts
    assert (part.start, part.stop, part.width, part.padded) == (2, 4, LENGTH, True)


@pytest.mark.parametrize(
    ("line", "skips"),
    [
        pytest.param(Line(0, 0, list(range(32))), True, id="a whole prompt"),
        pytest.param(Line(0, 0, list(range(31))), False, id="padding stands where the last token does"),
        pytest.param(Line(0, 32, list(range(32))), False, id="its second piece"),
        pytest.param(Line(0, 31, [1]), True, id="one token that sees all keys"),
        pytest.param(Line(0, 30, [1]), False, id="one token, and a key after it"),
    ],
)
def test_attention_without_a_mask_is_for_one_row_with_nothing_after_it(line: Line, skips: bool) -> None:
    (part,) = lay_out(line, packed=True).now.parts
    assert part.plainly_causal is skips
