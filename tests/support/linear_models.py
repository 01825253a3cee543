"""Small models of linear layers: some read the same tensor, some another one, some are called for long texts alone."""

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pinion_runtime.engines.transformers.widening import WidenedLinear


class Block(nn.Module):
    """Projections of one tensor, one that reads their result, and one that is called for long texts alone."""

    def __init__(self, *, bias: bool = True, how: str = "") -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(16, size, bias=bias) for size in (32, 16, 16))
        self.out = nn.Linear(64, 16, bias=bias)
        self.rare = nn.Linear(16, 16)
        self._how = how

    def forward(self, features: Tensor) -> Tensor:
        if features.shape[0] > 4:
            features = self.rare(features)
        key = self.k(features.clone() if self._how == "another tensor" else features)
        parts = [self.q(features), key, self.v(features)]
        if self._how == "reads the weight":
            parts[0] = features @ self.q.weight.t()
        if self._how == "by type" and type(self.q) is not nn.Linear:
            parts[0] = parts[0] + 1
        out: Tensor = self.out(torch.cat(parts, -1))
        return out


class Model(nn.Module):
    """Blocks one after the other."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.blocks(features)
        return out


def make_model(*blocks: nn.Module, dtype: torch.dtype = torch.float32) -> tuple[Model, Callable[[], Tensor]]:
    torch.manual_seed(3)
    model = Model(*blocks).to(dtype).eval().requires_grad_(requires_grad=False)
    features = torch.randn(3, 16).to(dtype)
    return model, lambda: model(features).float()


def layer_types(block: Any) -> list[type]:
    return [type(getattr(block, name)) for name in ("q", "k", "v", "out", "rare")]


def widened_layers() -> int:
    """Return how many linear layers of models of this process have copies in float32."""
    gc.collect()
    return sum(type(one) is WidenedLinear for one in gc.get_objects())
