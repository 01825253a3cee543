"""Products of half precision computed in float32, on processors without arithmetic for half precision: those emulate it.

Emulated they take twice as long for 8 tokens, and five times for 512. Sums of products are kept in float32 either way, and
rounded once; only their order differs.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from .linear import ROOM, ReorderedLinear, has_reordered, joined, linear_layers, replace_layers

# Flags of Linux for instructions that multiply, or read, numbers of a type; see arch/x86/include/asm/cpufeatures.h.
_ARITHMETIC = {
    torch.bfloat16: frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert"}),
    torch.float16: frozenset({"avx512_fp16", "amx_fp16", "avx_ne_convert"}),
}
_SHARE = 0.5  # of what is free; the other half is for the cache of keys and what passes hold for a moment


class WidenedLinear(nn.Module):
    """A linear layer in half precision, or several side by side, with a copy in float32 for products of more than one token.

    A single token's product waits for the weights, of which half precision has half as many bytes.
    """

    def __init__(self, layers: list[nn.Linear]) -> None:
        super().__init__()
        self._half = [joined([layer]) for layer in layers]
        weight, bias = joined(layers)
        self._wide = ReorderedLinear(weight.float(), None if bias is None else bias.float())

    @property
    def weight(self) -> Tensor:
        """Return a weight in half precision; models ask it for its type and device."""
        return self._half[0][0]

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., out_features of all) of (..., in_features)."""
        if features.numel() > features.shape[-1]:
            wide: Tensor = self._wide(features.float())
            return wide.to(features.dtype)
        found = [nn.functional.linear(features, weight, bias) for weight, bias in self._half]
        return found[0] if len(found) == 1 else torch.cat(found, -1)


@torch.no_grad()
def widen_linear_layers(model: nn.Module, compute: Callable[[], Tensor], tolerance: float, free_bytes: int) -> str:
    """Give the linear layers of a model copies in float32; return what kept it from that, "" for nothing.

    `compute` makes a pass through the model and returns what is compared: before and after, by the largest number, it may
    differ by `tolerance`, that of rounding in another order. Half of `free_bytes` must suffice for the copies.
    """
    layers = linear_layers(model)
    needed = int(ROOM * torch.float32.itemsize * sum(layer.weight.numel() for layer in layers))
    if needed > (room := int(_SHARE * free_bytes)):
        reason = f"that takes {needed >> 20} MiB, and {room >> 20} MiB are free for it"
    else:
        reason = replace_layers(model, layers, WidenedLinear, compute, tolerance)
    return reason and f"products are not computed in float32, though this processor emulates half precision: {reason}"


def emulates(model: nn.Module, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether this processor has no arithmetic for the type of a model's linear layers, by its flags; x86 alone tells."""
    weight = max((layer.weight for layer in linear_layers(model)), key=Tensor.numel, default=None)
    if weight is None or weight.dtype not in _ARITHMETIC or not has_reordered(weight[:1].float()):
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "").split()
    return bool(flags) and not _ARITHMETIC[weight.dtype].intersection(flags)
