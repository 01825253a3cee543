"""Linear layers with reordered weights: computed as before, together where they read the same, or left as they were."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pinion_runtime.engines.transformers.linear import LinearPart, ReorderedLinear, reorder_linear_layers
from tests.support.linear_models import Block, layer_types, make_model

pytestmark = pytest.mark.model

ROOM = 1 << 30


PARTS = [LinearPart, LinearPart, LinearPart, ReorderedLinear, ReorderedLinear]
PLAIN = [nn.Linear] * 5


@pytest.mark.parametrize("bias", [True, False])
def test_layers_that_read_the_same_are_one_product_and_compute_as_before(bias: bool) -> None:
    model, compute = make_model(Block(bias=bias), Block(bias=bias))
    texts = [torch.randn(rows, 16) for rows in (1, 3, 7)]
    with torch.inference_mode():
        wanted = [model(text) for text in texts]
        assert reorder_linear_layers(model, compute, 1e-4, ROOM) == ""
        found = [model(text) for text in texts]
    assert [layer_types(block) for block in model.blocks] == [PARTS, PARTS]
    block: Any = model.blocks[0]
    assert (block.q.weight.dtype, block.q.weight.device.type) == (torch.float32, "cpu"), "as models ask of a layer"
    assert (block.out.weight.dtype, block.out.weight.shape) == (torch.float32, (16, 64))
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "supported"),
    [
        (torch.bfloat16, torch.ops.mkldnn._is_mkldnn_bf16_supported),
        (torch.float16, torch.ops.mkldnn._is_mkldnn_fp16_supported),
        (torch.float64, lambda: False),
    ],
)
def test_a_type_that_this_cpu_does_not_have_in_onednn_is_left_alone(dtype: torch.dtype, supported: Callable[[], bool]) -> None:
    model, compute = make_model(Block(), dtype=dtype)
    wanted = compute()
    assert reorder_linear_layers(model, compute, 0.1, ROOM) == ""
    assert layer_types(model.blocks[0]) == (PARTS if supported() else PLAIN)
    torch.testing.assert_close(compute(), wanted, rtol=0.05, atol=0.05)


def test_what_reads_another_tensor_is_a_product_of_its_own() -> None:
    model, compute = make_model(Block(how="another tensor"))
    wanted = compute()
    assert reorder_linear_layers(model, compute, 1e-4, ROOM) == ""
    assert layer_types(model.blocks[0]) == [LinearPart, ReorderedLinear, LinearPart, ReorderedLinear, ReorderedLinear]
    torch.testing.assert_close(compute(), wanted)


def test_a_block_that_is_there_twice_is_replaced_in_both_places() -> None:
    block = Block()
    model, compute = make_model(block, block)
    wanted = compute()
    assert reorder_linear_layers(model, compute, 1e-4, ROOM) == ""
    assert model.blocks[0] is model.blocks[1]
    assert layer_types(model.blocks[0]) == PARTS
    torch.testing.assert_close(compute(), wanted)


@pytest.mark.parametrize(
    ("how", "reason"), [("by type", "the result differs by "), ("reads the weight", "weights are not reordered: ")]
)
def test_a_model_that_computes_otherwise_with_them_keeps_its_layers(how: str, reason: str) -> None:
    model, compute = make_model(Block(how=how))
    layers, wanted = dict(model.blocks[0].named_children()), compute()
    found = reorder_linear_layers(model, compute, 1e-4, ROOM)
    assert reason in found
    assert all(getattr(model.blocks[0], name) is layer for name, layer in layers.items())
    assert torch.equal(compute(), wanted)


def test_without_room_for_a_second_copy_nothing_is_replaced() -> None:
    model, compute = make_model(Block())
    assert reorder_linear_layers(model, compute, 1e-4, 1000) == (
        "weights are not reordered: that takes 0 MiB, and 0 MiB are free"
    )
    assert layer_types(model.blocks[0]) == PLAIN


def test_a_model_without_linear_layers_is_left_alone() -> None:
    model, compute = make_model(nn.LayerNorm(16))
    assert reorder_linear_layers(model, compute, 1e-4, ROOM) == ""


def test_nothing_of_a_pass_is_kept() -> None:
    model, compute = make_model(Block())
    reorder_linear_layers(model, compute, 1e-4, ROOM)
    features = torch.randn(3, 16)
    kept = weakref.ref(features)
    model(features)
    del features
    assert kept() is None
