"""Attention of one query a row: what torch computes fastest is what transformers' own function computes."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function

from pinion_runtime.engines.transformers.generation.attention import attend
from pinion_runtime.engines.transformers.generation.masks import PASS, PartMasks, WholeSlab, visible_keys
from pinion_runtime.engines.transformers.generation.packing import Line, pack

pytestmark = pytest.mark.model

ROWS, HEADS, KEYS, WIDTH = 3, 4, 40, 16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("shared", [4, 2, 1])
@pytest.mark.parametrize("tokens", [1, 5])
@pytest.mark.parametrize("mask", ["none", "of rows", "of heads", "added"])
def test_attention_is_that_of_transformers(dtype: torch.dtype, shared: int, tokens: int, mask: str) -> None:
    random = torch.Generator().manual_seed(5)
    query, key, value = (
        torch.randn(ROWS, heads, count, WIDTH, generator=random).to(dtype)
        for heads, count in ((HEADS, tokens), (shared, KEYS), (shared, KEYS))
    )
    seen = torch.rand(ROWS, HEADS, tokens, KEYS, generator=random) < 0.7
    given = {
        "none": None,
        "of rows": seen[:, :1],
        "of heads": seen,
        "added": torch.zeros(ROWS, 1, tokens, KEYS, dtype=dtype).masked_fill(~seen[:, :1], torch.finfo(dtype).min),
    }[mask]
    module: Any = SimpleNamespace(num_key_value_groups=HEADS // shared, is_causal=False)
    wanted, _ = sdpa_attention_forward(module, query, key, value, given, scaling=0.3)
    found, _ = attend(module, query, key, value, given, scaling=0.3, use_cache=True)
    assert found.shape == wanted.shape == (ROWS, tokens, HEADS, WIDTH)
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.02)


def test_models_call_it_by_its_name() -> None:
    assert AttentionInterface()["sdpa"] is attend


def test_a_bias_of_positions_is_left_to_transformers() -> None:
    query, key = torch.randn(1, 4, 1, 16).bfloat16(), torch.randn(1, 4, 9, 16).bfloat16()
    bias = torch.randn(1, 4, 1, 9).bfloat16()
    module: Any = SimpleNamespace(is_causal=False)
    wanted, _ = sdpa_attention_forward(module, query, key, key, None, position_bias=bias)
    found, _ = attend(module, query, key, key, None, position_bias=bias)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shared", [4, 2])
def test_the_parts_of_a_packed_pass_do_not_see_each_other(dtype: torch.dtype, shared: int) -> None:
    """Two answers, the piece of a prompt and the whole of another: each as if it were alone."""
    random = torch.Generator().manual_seed(6)
    lines = [Line(0, 20, [1]), Line(1, 9, [1]), Line(3, 16, [1] * 14), Line(4, 0, [1] * 32)]
    now = pack(lines, 64, torch.device("cpu"), visible_keys, packed=True).now
    query = torch.randn(1, HEADS, len(now.rows), WIDTH, generator=random).to(dtype)
    key, value = (torch.randn(5, shared, 64, WIDTH, generator=random).to(dtype) for _ in range(2))
    masks = PartMasks(tuple(now.mask(part, causal_mask_function, may_skip=True) for part in now.parts))
    module: Any = SimpleNamespace(num_key_value_groups=HEADS // shared, is_causal=True)
    token = PASS.set(now)
    try:
        found, _ = attend(module, query, WholeSlab(key), WholeSlab(value), masks, scaling=0.3)
        for parts in ((key, WholeSlab(value), masks), (WholeSlab(key), value, masks), (WholeSlab(key), WholeSlab(value), None)):
            with pytest.raises(TypeError, match="go together"):
                attend(module, query, *parts, scaling=0.3)
        with pytest.raises(ValueError, match="no bias of positions"):
            attend(module, query, WholeSlab(key), WholeSlab(value), masks, position_bias=query)
    finally:
        PASS.reset(token)
    assert found.shape == (1, len(now.rows), HEADS, WIDTH)
    for place, (row, position) in enumerate(zip(now.rows.tolist(), now.positions.tolist(), strict=True)):
        seen = slice(0, position + 1)
        wanted, _ = sdpa_attention_forward(
            module,
            query[:, :, place : place + 1],
            key[row : row + 1, :, seen],
            value[row : row + 1, :, seen],
            None,
            scaling=0.3,
        )
        torch.testing.assert_close(found[:, place : place + 1], wanted, rtol=0.02, atol=0.02)
