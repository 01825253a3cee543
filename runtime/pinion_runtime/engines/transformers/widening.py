"""Products of half precision computed in float32, on processors without arithmetic for half precision: those emulate it.

Emulated they take twice as long for 8 tokens, and five times for 512. Products are accumulated in float32 either way, and
rounded once; only the order of the sums differs.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .linear import ROOM, ReorderedLinear, can_reorder, joined, linear_layers, replace_layers

# Flags of Linux for instructions that multiply, or read, numbers of a type; see arch/x86/include/asm/cpufeatures.h.
_ARITHMETIC = {
    torch.bfloat16: frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert"}),
    torch.float16: frozenset({"avx512_fp16", "amx_fp16", "avx_ne_convert"}),
}
CPUINFO = Path("/proc/cpuinfo")
_SHARE = 0.5  # of what is free; the other half is for the cache of keys and what passes hold for a moment


class WidenedLinear(nn.Module):
    """A linear layer in half precision, or several side by side, with a copy in float32 for products of more than one token.

    A single token's product waits for the weights, of which half precision has half as many bytes.
    """

    def __init__(self, layers: list[nn.Linear], *, reordered: bool) -> None:
        super().__init__()
        weight, bias = joined(layers)
        self.weight = layers[0].weight.detach()  # models ask it for its type and device
        self.in_features, self.out_features = layers[0].in_features, weight.shape[0]
        self._half: list[Callable[[Tensor], Tensor]]
        if reordered:
            self._half = [ReorderedLinear(weight, bias)]
        else:
            own = [joined([layer]) for layer in layers]
            self._half = [partial(nn.functional.linear, weight=weight, bias=bias) for weight, bias in own]
        self._wide = ReorderedLinear(weight.float(), None if bias is None else bias.float())

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., out_features of all) of (..., in_features)."""
        if features.numel() > features.shape[-1]:
            wide: Tensor = self._wide(features.float())
            return wide.to(features.dtype)
        found = [half(features) for half in self._half]
        return found[0] if len(found) == 1 else torch.cat(found, -1)


@torch.no_grad()
def widen_linear_layers(model: nn.Module, compute: Callable[[], Tensor], tolerance: float, free_bytes: int) -> str:
    """Give the linear layers of a model copies in float32; return what kept it from that, "" for nothing.

    `compute` makes a pass through the model and returns what is compared: before and after, by the largest number, it may
    differ by `tolerance`, that of rounding in another order. Half of `free_bytes` must suffice for the copies; where it does so
    for reordered weights in half precision, too, those compute single tokens.
    """
    layers = _half_layers(model)
    numbers = sum(layer.weight.numel() for layer in layers)
    room, needed = int(_SHARE * free_bytes), int(ROOM * torch.float32.itemsize * numbers)
    both = needed + int(ROOM * torch.bfloat16.itemsize * numbers)
    reordered = both <= room and all(can_reorder(layer.weight) for layer in layers)
    if needed > room:
        reason = f"that takes {needed >> 20} MiB, and {room >> 20} MiB are free for it"
    else:
        reason = replace_layers(model, layers, partial(WidenedLinear, reordered=reordered), compute, tolerance)
    return reason and f"products are not computed in float32, though this processor emulates half precision: {reason}"


def emulates(model: nn.Module, cpuinfo: Path | None = None) -> bool:
    """Tell whether this processor has no arithmetic for the type of a model's linear layers, by its flags; x86 alone tells."""
    layers = _half_layers(model)
    if not layers or not can_reorder(layers[0].weight[:1].float()):
        return False
    try:
        text = (cpuinfo or CPUINFO).read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return bool(flags) and not any(_ARITHMETIC[layer.weight.dtype].intersection(flags) for layer in layers)


def _half_layers(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in linear_layers(model) if layer.weight.dtype in _ARITHMETIC]
