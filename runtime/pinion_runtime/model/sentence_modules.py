"""modules.json of sentence-transformers and the configs of its modules, parsed into frozen stages. Pure, imports no torch."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import EngineLoadError
from .json_files import decode_json
from .sentence_settings import (
    DENSE_FILE,
    DROPOUT_FILE,
    LAYER_NORM_FILE,
    MODULE_FILE,
    NORMALIZE_FILE,
    POOLING_FILE,
    POOLING_MODES,
    ModuleEntry,
)

# In the order in which their results are put side by side.
_LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS = (  # of torch.nn, all without weights and arguments
    *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU", "LogSigmoid"),
    *("Mish", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink"),
)


@dataclass(frozen=True, slots=True)
class Pooling:
    """Token vectors to one vector; several modes are put side by side."""

    path: str
    modes: tuple[str, ...]
    include_prompt: bool = True


@dataclass(frozen=True, slots=True)
class Normalize:
    """To unit length."""

    path: str


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer with an activation; its weights are in `path`/model.safetensors."""

    path: str
    in_features: int
    out_features: int
    bias: bool
    activation: str  # one of ACTIVATIONS
    residual: bool


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Layer normalisation; its weights are in `path`/model.safetensors."""

    path: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """The first numbers of the vector; nothing is brought to unit length again."""

    dimensions: int


Stage = Pooling | Normalize | Dense | LayerNorm | Truncate


def read_stages(snapshot: Path) -> tuple[str, tuple[Stage, ...]]:
    """Parse modules.json; return the transformer's folder in the snapshot ("" = the snapshot itself) and what follows it.

    Raises EngineLoadError that names the module.
    """
    entries = decode_json(snapshot, "modules.json", list[dict[str, Any]])
    modules = [MODULE_FILE.convert(entry, "modules.json", f"[{place}].") for place, entry in enumerate(entries)]
    twice = [name for name, count in Counter(module.name for module in modules).items() if name and count > 1]
    if twice:
        raise EngineLoadError(f"modules.json: two modules are named {twice[0]!r}")
    kinds = [_kind(module) for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise EngineLoadError(
            f"modules.json: the modules must begin with Transformer and Pooling, not {', '.join(kinds[:2]) or 'nothing'}"
        )
    if "Transformer" in kinds[1:] or "Pooling" in kinds[2:]:
        raise EngineLoadError("modules.json: only one Transformer and one Pooling are supported")
    following = zip(kinds[1:], modules[1:], strict=True)
    stages = [_READERS[kind](snapshot, _folder(module)) for kind, module in following]
    return _folder(modules[0]), tuple(stage for stage in stages if stage is not None)


def _kind(module: ModuleEntry) -> str:
    """Return the class name of a module of sentence-transformers' own."""
    package, _, name = module.type.rpartition(".")
    ours = package.split(".")[0] == "sentence_transformers"
    if not ours or name not in MODULES:
        why = REFUSED_MODULES.get(name, "") if ours else "the code of a model is not run"
        raise EngineLoadError(
            f"modules.json: module {module.path or module.name!r} of type {module.type} is not supported"
            f"{f': {why}' if why else ''} (only {', '.join(MODULES)})"
        )
    return name


def _folder(module: ModuleEntry) -> str:
    path = PurePosixPath(module.path)
    if path.is_absolute() or ".." in path.parts or "\\" in module.path:
        raise EngineLoadError(f"modules.json: path {module.path!r} leaves the model's folder")
    return "" if str(path) == "." else str(path)


def _pooling(snapshot: Path, path: str) -> Pooling:
    where = f"{path}/config.json"
    config = POOLING_FILE.read(snapshot, where)
    if config.pooling_mode is None:
        modes = tuple(mode for field, mode in _LEGACY_MODES.items() if getattr(config, field)) or ("mean",)
    else:
        modes = (config.pooling_mode,) if isinstance(config.pooling_mode, str) else tuple(config.pooling_mode)
    for mode in modes:
        if mode not in POOLING_MODES:
            raise EngineLoadError(f"{where}: pooling mode {mode!r} is not supported (only {', '.join(POOLING_MODES)})")
    if not modes:
        raise EngineLoadError(f"{where}: no pooling mode")
    return Pooling(path, modes, config.include_prompt is not False)


def _normalize(snapshot: Path, path: str) -> Normalize:
    NORMALIZE_FILE.read_if_there(snapshot, f"{path}/config.json")
    return Normalize(path)


def _dense(snapshot: Path, path: str) -> Dense:
    config = DENSE_FILE.read(snapshot, f"{path}/config.json")
    package, _, activation = (config.activation_function or "torch.nn.Identity").rpartition(".")
    if not f"{package}.".startswith("torch.nn.") or activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise EngineLoadError(
            f"{path}/config.json: activation_function {config.activation_function} is not supported (only torch.nn's {known})"
        )
    return Dense(path, config.in_features, config.out_features, config.bias, activation, config.use_residual)


def _layer_norm(snapshot: Path, path: str) -> LayerNorm:
    return LayerNorm(path, LAYER_NORM_FILE.read(snapshot, f"{path}/config.json").dimension)


def _dropout(snapshot: Path, path: str) -> None:
    DROPOUT_FILE.read_if_there(snapshot, f"{path}/config.json")


_READERS: dict[str, Callable[[Path, str], Stage | None]] = {
    "Pooling": _pooling,
    "Normalize": _normalize,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Dropout": _dropout,
}
MODULES = ("Transformer", *_READERS)
# Of sentence-transformers' own: why a model with one of them is refused.
REFUSED_MODULES = {
    "Asym": "one input would have several vectors, by a key that requests don't have",
    "BoW": "its vectors are counts of words, without a transformer",
    "CLIPModel": "it is a model of images and texts",
    "CNN": "it changes the vectors of tokens before they are pooled",
    "HierarchicalTokenPooling": "it is a part of models with a vector for each token",
    "LambdaTokenPooling": "it is a part of models with a vector for each token",
    "LSTM": "it changes the vectors of tokens before they are pooled",
    "MLMTransformer": "it is a part of sparse models",
    "MultiVectorMask": "it is a part of models with a vector for each token",
    "Router": "one input would have several vectors, by a task that requests don't have",
    "SparseAutoEncoder": "it is a part of sparse models",
    "SparseStaticEmbedding": "it is a part of sparse models",
    "SpladePooling": "it is a part of sparse models",
    "StaticEmbedding": "it has no transformer",
    "WeightedLayerPooling": "only the last layer is pooled",
    "WordEmbeddings": "it has no transformer",
    "WordWeights": "the tokens of a text count alike in a mean",
}
