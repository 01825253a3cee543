"""Token vectors to sentence vectors in float32: pooling and the modules after it, as sentence-transformers computes them."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ...errors import EngineLoadError
from ...model.sentence_modules import Dense, LayerNorm, Normalize, Pooling, Stage, Truncate

LoadTensors = Callable[[Path], dict[str, Tensor]]
Step = Callable[[Tensor], Tensor]


def pool(hidden: Tensor, lengths: Tensor, modes: tuple[str, ...], skips: Tensor | None = None) -> Tensor:
    """Pool (batch, columns, width) whose rows are padded on the right to (batch, width * len(modes)).

    The first `skips` tokens of each row are left out; a row has more tokens than that.
    """
    hidden = hidden.float()
    lengths = lengths.to(hidden.device)
    skips = torch.zeros_like(lengths) if skips is None else skips.to(hidden.device)
    pooled = [_pool_one(hidden, lengths, skips, mode) for mode in modes]
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=-1)


def _pool_one(hidden: Tensor, lengths: Tensor, skips: Tensor, mode: str) -> Tensor:
    if mode == "cls":
        return hidden[torch.arange(len(hidden), device=hidden.device), skips]
    if mode == "lasttoken":
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    columns = torch.arange(hidden.shape[1], device=hidden.device)
    mask = (columns >= skips[:, None]) & (columns < lengths[:, None])
    if mode == "max":
        return hidden.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)
    weights = mask.float() * (columns + 1) if mode == "weightedmean" else mask.float()
    total = weights.sum(dim=1, keepdim=True)
    weights /= total.sqrt() if mode == "mean_sqrt_len_tokens" else total
    return torch.bmm(weights[:, None], hidden)[:, 0]


def build_steps(
    stages: tuple[Stage, ...], width: int, snapshot: Path, load: LoadTensors, device: torch.device
) -> tuple[list[Step], int]:
    """Return what follows the pooling, in order, and the width of the final vectors; raise EngineLoadError."""
    steps: list[Step] = []
    for stage in stages:
        match stage:
            case Pooling():
                width *= len(stage.modes)
            case Normalize():
                steps.append(_normalize)
            case Dense():
                _check_width(stage.path, stage.in_features, width)
                steps.append(_dense(stage, load(snapshot / stage.path / "model.safetensors"), device))
                width = stage.out_features
            case LayerNorm():
                _check_width(stage.path, stage.dimension, width)
                steps.append(_layer_norm(stage, load(snapshot / stage.path / "model.safetensors"), device))
            case Truncate():
                steps.append(_first(stage.dimensions))
                width = min(width, stage.dimensions)
    return steps, width


def _check_width(path: str, declared: int, width: int) -> None:
    if declared != width:
        raise EngineLoadError(f"{path}/config.json: takes vectors of {declared} dimensions, but is given {width}")


def _normalize(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, p=2, dim=-1)


def _first(dimensions: int) -> Step:
    return lambda vectors: vectors[:, :dimensions]


def _dense(stage: Dense, tensors: dict[str, Tensor], device: torch.device) -> Step:
    shape = (stage.out_features, stage.in_features)
    weight = _take(stage.path, tensors, "linear.weight", shape, device)
    bias = _take(stage.path, tensors, "linear.bias", shape[:1], device) if stage.bias else None
    projected = stage.residual and stage.in_features != stage.out_features
    residual = _take(stage.path, tensors, "residual.weight", shape, device) if projected else None
    used = {"linear.weight", *(("linear.bias",) if stage.bias else ()), *(("residual.weight",) if projected else ())}
    if unused := sorted(set(tensors) - used):
        raise EngineLoadError(
            f"{stage.path}/model.safetensors has tensors that config.json has no use for: {', '.join(unused[:8])}"
        )
    activation: torch.nn.Module = getattr(torch.nn, stage.activation)()

    def step(vectors: Tensor) -> Tensor:
        made: Tensor = activation(torch.nn.functional.linear(vectors, weight, bias))
        if not stage.residual:
            return made
        return made + (vectors if residual is None else torch.nn.functional.linear(vectors, residual))

    return step


def _layer_norm(stage: LayerNorm, tensors: dict[str, Tensor], device: torch.device) -> Step:
    shape = (stage.dimension,)
    weight = _take(stage.path, tensors, "norm.weight", shape, device)
    bias = _take(stage.path, tensors, "norm.bias", shape, device)
    return lambda vectors: torch.nn.functional.layer_norm(vectors, shape, weight, bias)


def _take(path: str, tensors: dict[str, Tensor], name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    tensor = tensors.get(name)
    if tensor is None:
        raise EngineLoadError(
            f"{path}/model.safetensors has no tensor {name} (it has {', '.join(sorted(tensors)[:8]) or 'none'})"
        )
    if tuple(tensor.shape) != shape:
        raise EngineLoadError(f"{path}/model.safetensors: {name} has shape {tuple(tensor.shape)}, config.json says {shape}")
    return tensor.to(device, torch.float32)
