"""Products of half precision in float32: computed as before, where the processor has no arithmetic for half precision."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pinion_runtime.engines.transformers.linear import LinearPart, ReorderedLinear, can_reorder
from pinion_runtime.engines.transformers.widening import WidenedLinear, emulates, widen_linear_layers
from tests.support.linear_models import Block, layer_types, make_model

pytestmark = pytest.mark.model

ROOM = 1 << 30
PLAIN = [nn.Linear] * 5


def layers(dtype: torch.dtype) -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.Linear(1024, 1024)).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "flags", "emulated"),
    [
        (torch.bfloat16, "fpu avx2 avx512f avx512_vnni", True),
        (torch.bfloat16, "fpu avx2 avx512f avx512_bf16", False),
        (torch.bfloat16, "fpu avx2 amx_bf16 amx_tile", False),
        (torch.bfloat16, "fpu avx2 avx_ne_convert", False),
        (torch.bfloat16, "fpu avx512_fp16", True),
        (torch.float16, "fpu avx2 avx512f amx_bf16 avx512_bf16", True),
        (torch.float16, "fpu avx512_fp16", False),
        (torch.float32, "fpu avx2", False),
        (torch.float64, "fpu avx2", False),
    ],
)
def test_a_processor_emulates_what_its_flags_lack(tmp_path: Path, dtype: torch.dtype, flags: str, emulated: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: any\nflags\t\t: {flags}\nbugs\t\t: flags\n\n")
    assert emulates(layers(dtype), cpuinfo) is emulated


def test_a_processor_that_tells_no_flags_is_not_said_to_emulate(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd fphp asimdhp\n")
    assert not emulates(layers(torch.bfloat16), cpuinfo)
    assert not emulates(layers(torch.bfloat16), tmp_path / "cannot-be-read")


@pytest.mark.parametrize("model", [nn.LayerNorm(8).bfloat16(), nn.Linear(8, 8, device="meta").bfloat16()])
def test_what_has_no_linear_layers_on_a_cpu_is_not_widened(model: nn.Module, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t: fpu\n")
    assert not emulates(model, cpuinfo)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_with_copies_in_float32_layers_compute_as_before(dtype: torch.dtype, bias: bool) -> None:
    model, compute = make_model(Block(bias=bias), Block(bias=bias), dtype=dtype)
    texts = [torch.randn(rows, 16).to(dtype) for rows in (1, 3, 7)]
    exact, _ = make_model(Block(bias=bias), Block(bias=bias))  # the same numbers, before they are rounded to half precision
    exact.load_state_dict({name: tensor.float() for name, tensor in model.state_dict().items()})
    with torch.inference_mode():
        alone = model(texts[0])
        wanted = [exact(text.float()) for text in texts]
        assert widen_linear_layers(model, compute, 0.1, ROOM) == ""
        found = [model(text) for text in texts]
    assert [layer_types(block) for block in model.blocks] == [[*[LinearPart] * 3, WidenedLinear, WidenedLinear]] * 2
    block: Any = model.blocks[0]
    assert (block.q.weight.dtype, block.out.weight.dtype, block.out.weight.device.type) == (dtype, dtype, "cpu")
    torch.testing.assert_close(found[0], alone, rtol=0.02, atol=0.02)
    for one, other in zip(wanted, found, strict=True):
        assert other.dtype is dtype
        torch.testing.assert_close(other.float(), one, rtol=0.05, atol=0.02)


def test_a_product_in_float32_is_rounded_once() -> None:
    model, compute = make_model(Block(), dtype=torch.bfloat16)
    weight = model.blocks[0].out.weight.clone()
    bias = model.blocks[0].out.bias.clone()
    assert widen_linear_layers(model, compute, 0.1, ROOM) == ""
    features = torch.randn(5, 64).bfloat16()
    exact = (features.double() @ weight.double().t() + bias.double()).float()
    found: Any = model.blocks[0].out(features)
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_copies_in_float32_take_no_more_than_half_of_what_is_free(dtype: torch.dtype) -> None:
    model, compute = make_model(Block(), dtype=dtype)
    numbers = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    free = int(2 * 1.25 * 4 * numbers)
    found = widen_linear_layers(model, compute, 0.1, free - 100)
    assert found.startswith("products are not computed in float32, though this processor emulates half precision: that takes ")
    assert layer_types(model.blocks[0]) == PLAIN
    model, compute = make_model(Block(), dtype=dtype)
    assert widen_linear_layers(model, compute, 0.1, free + 100) == ""
    assert WidenedLinear in layer_types(model.blocks[0])


@pytest.mark.parametrize(("copies", "reordered"), [(4, False), (6, True)])
def test_single_tokens_have_reordered_weights_where_there_is_room_for_both(copies: int, reordered: bool) -> None:
    model, compute = make_model(Block(), dtype=torch.bfloat16)
    numbers = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    reordered = reordered and can_reorder(model.blocks[0].out.weight)  # of a processor without avx512 oneDNN takes none
    assert widen_linear_layers(model, compute, 0.1, int(2 * 1.25 * copies * numbers) + 100) == ""
    block: Any = model.blocks[0]
    assert (type(block.out._half[0]) is ReorderedLinear) is reordered


def test_a_model_that_computes_otherwise_in_float32_keeps_its_layers() -> None:
    model, compute = make_model(Block(how="by type"), dtype=torch.bfloat16)
    assert "the result differs by " in widen_linear_layers(model, compute, 0.1, ROOM)
    assert layer_types(model.blocks[0]) == PLAIN
