"""Linear layers made faster at load, on a CPU: weights reordered once, and layers that read the same tensor computed as one.

torch's linear brings the weight into the order of oneDNN with every call, which costs several times the product of few rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

ROOM = 1.25  # of the new weights; the old ones are there, too, in the file's pages, until the system takes them back


class ReorderedLinear(nn.Module):
    """A linear layer whose weight lies in the order of oneDNN; its shape and type stay readable."""

    weight: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", torch.ops.mkldnn._reorder_linear_weight(weight, None))
        self.bias = bias

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., out_features) of (..., in_features)."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(features, self.weight, self.bias, "none", [], "")
        return out


@dataclass
class _Shared:
    """One product for several layers, and the last tensor it was computed of."""

    layer: Any  # has a `weight`, of the layers' type
    sizes: list[int]
    features: Tensor | None = None
    parts: tuple[Tensor, ...] = field(default=())


class LinearPart(nn.Module):
    """One of several layers that read the same tensor: the first that is called computes all of them."""

    def __init__(self, shared: _Shared, place: int) -> None:
        super().__init__()
        self._shared, self._place = shared, place

    @property
    def weight(self) -> Tensor:
        """Return a weight of the layers' type, on their device: that is what models ask it for."""
        weight: Tensor = self._shared.layer.weight
        return weight

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., out_features) of (..., in_features)."""
        shared = self._shared
        if shared.features is not features:
            shared.features, shared.parts = features, shared.layer(features).split(shared.sizes, -1)
        part = shared.parts[self._place]
        if self._place == len(shared.sizes) - 1:
            shared.features, shared.parts = None, ()  # else they would be kept until the next pass
        return part


@torch.no_grad()
def reorder_linear_layers(model: nn.Module, compute: Callable[[], Tensor], tolerance: float, free_bytes: int) -> str:
    """Replace the linear layers of a model where this machine gains by it; return what kept it from that, "" for nothing.

    `compute` makes a pass through the model and returns what is compared: before and after, by the largest number, it may
    differ by `tolerance`, that of rounding in another order. `free_bytes` is what the new weights may take.
    """
    layers = linear_layers(model)
    if not layers or not all(can_reorder(layer.weight) for layer in layers):
        return ""
    needed = int(ROOM * sum(layer.weight.numel() * layer.weight.element_size() for layer in layers))
    if needed > free_bytes:
        return f"weights are not reordered: that takes {needed >> 20} MiB, and {free_bytes >> 20} MiB are free"
    reason = replace_layers(model, layers, lambda group: ReorderedLinear(*joined(group)), compute, tolerance)
    return reason and f"weights are not reordered: {reason}"


def linear_layers(model: nn.Module) -> list[nn.Linear]:
    """Return the linear layers of a model that are just that."""
    return [module for module in model.modules() if type(module) is nn.Linear]


def replace_layers(
    model: nn.Module,
    layers: list[nn.Linear],
    make: Callable[[list[nn.Linear]], nn.Module],
    compute: Callable[[], Tensor],
    tolerance: float,
) -> str:
    """Replace layers by what `make` makes of each, or of several that read the same tensor, by one for all of them.

    Where that changes what `compute` returns, or it fails, all are put back; return why, "" where they are replaced.
    """
    undo: list[tuple[nn.Module, str, nn.Module]] = []
    try:
        with torch.inference_mode():
            wanted, groups = _observe(layers, compute)
        replaced = {
            id(layer): new
            for group in [*groups, *([layer] for layer in layers if not any(layer in group for group in groups))]
            for layer, new in zip(group, _replacements(group, make), strict=True)
        }
        undo = _replace(model, replaced)
        with torch.inference_mode():
            found = compute()
        difference = float((found - wanted).abs().max() / wanted.abs().max())
        if difference <= tolerance:
            return ""
        reason = f"the result differs by {difference:.2g}"
    except Exception as error:  # whatever it is, the model can do without
        reason = " ".join(str(error).split())[:300] or type(error).__name__
    for parent, name, layer in undo:
        setattr(parent, name, layer)
    return reason


def can_reorder(weight: Tensor) -> bool:
    """Tell whether oneDNN computes with reordered weights of this type here."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call] # torch types it not
        return False
    half = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return weight.dtype == torch.float32 or (weight.dtype in half and bool(half[weight.dtype]()))


def _observe(layers: list[nn.Linear], compute: Callable[[], Tensor]) -> tuple[Tensor, list[list[nn.Linear]]]:
    """Return a pass's result, and which layers read the same tensor one after the other, whenever they are called."""
    calls: list[tuple[nn.Linear, Tensor]] = []

    def note(layer: nn.Module, given: tuple[Any, ...]) -> None:
        calls.append((layer, given[0]))  # type: ignore[arg-type] # hooks are typed for modules of any kind

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        result = compute()
    finally:
        for hook in hooks:
            hook.remove()
    runs = [tuple(layer for layer, _ in run) for _, run in groupby(calls, lambda call: id(call[1]))]
    found = dict.fromkeys(run for run in runs if len(run) > 1 and len({*run}) == len(run) and _alike(run))
    times = {layer: sum(layer in run for run in {*runs}) for run in found for layer in run}
    return result, [[*run] for run in found if all(times[layer] == 1 for layer in run)]


def _alike(run: tuple[nn.Linear, ...]) -> bool:
    return len({(layer.in_features, layer.weight.dtype, layer.bias is None) for layer in run}) == 1


def _replacements(group: list[nn.Linear], make: Callable[[list[nn.Linear]], nn.Module]) -> list[nn.Module]:
    if len(group) == 1:
        return [make(group)]
    shared = _Shared(make(group), [one.out_features for one in group])
    return [LinearPart(shared, place) for place in range(len(group))]


def joined(group: list[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """Return weight and bias of layers side by side."""
    if len(group) == 1:
        return group[0].weight.detach(), None if group[0].bias is None else group[0].bias.detach()
    biases = [layer.bias.detach() for layer in group if layer.bias is not None]
    return torch.cat([layer.weight.detach() for layer in group]), torch.cat(biases) if biases else None


def _replace(model: nn.Module, replaced: dict[int, nn.Module]) -> list[tuple[nn.Module, str, nn.Module]]:
    """Put new layers where the old ones, by their identity, are; return what was where."""
    places = [
        (parent, name, layer) for parent in model.modules() for name, layer in parent.named_children() if id(layer) in replaced
    ]
    for parent, name, layer in places:
        setattr(parent, name, replaced[id(layer)])
    return places
