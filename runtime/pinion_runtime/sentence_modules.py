"""modules.json of sentence-transformers and the configs of its modules, parsed into frozen stages. Pure, imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from .engines.protocol import EngineLoadError
from .json_files import decode_json, decode_json_or_default

# In the order in which their results are put side by side.
_LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
POOLING_MODES = tuple(_LEGACY_MODES.values())
ACTIVATIONS = ("GELU", "Identity", "ReLU", "SiLU", "Sigmoid", "Tanh")  # of torch.nn, all without arguments
_SENTENCE = "sentence_embedding"


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


Stage = Pooling | Normalize | Dense | LayerNorm


class _Module(msgspec.Struct):
    type: str
    path: str
    name: str = ""


class _PoolingConfig(msgspec.Struct):
    pooling_mode: str | list[str] | None = None
    pooling_mode_cls_token: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False
    include_prompt: bool = True


class _NormalizeConfig(msgspec.Struct):
    module_input_name: str = _SENTENCE
    module_output_name: str | None = None


class _DenseConfig(msgspec.Struct):
    in_features: int
    out_features: int
    bias: bool = True
    activation_function: str | None = "torch.nn.modules.activation.Tanh"
    module_input_name: str = _SENTENCE
    module_output_name: str | None = None
    use_residual: bool = False


class _LayerNormConfig(msgspec.Struct):
    dimension: int


def read_stages(snapshot: Path) -> tuple[str, tuple[Stage, ...]]:
    """Parse modules.json; return the transformer's folder in the snapshot ("" = the snapshot itself) and what follows it.

    Raises EngineLoadError that names the module.
    """
    modules = decode_json(snapshot, "modules.json", list[_Module])
    kinds = [_kind(module) for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise EngineLoadError(
            f"modules.json: the modules must begin with Transformer and Pooling, not {', '.join(kinds[:2]) or 'nothing'}"
        )
    if "Transformer" in kinds[1:] or "Pooling" in kinds[2:]:
        raise EngineLoadError("modules.json: only one Transformer and one Pooling are supported")
    following = zip(kinds[1:], modules[1:], strict=True)
    return _folder(modules[0]), tuple(
        _READERS[kind](snapshot, _folder(module)) for kind, module in following if kind != "Dropout"
    )


def _kind(module: _Module) -> str:
    """Return the class name of a module of sentence-transformers' own."""
    package, _, name = module.type.rpartition(".")
    if package.split(".")[0] != "sentence_transformers" or name not in _KINDS:
        known = ", ".join(_KINDS)
        raise EngineLoadError(
            f"modules.json: module {module.path or module.name!r} of type {module.type} is not supported (only {known})"
        )
    return name


def _folder(module: _Module) -> str:
    path = PurePosixPath(module.path)
    if path.is_absolute() or ".." in path.parts or "\\" in module.path:
        raise EngineLoadError(f"modules.json: path {module.path!r} leaves the model's folder")
    return "" if str(path) == "." else str(path)


def _pooling(snapshot: Path, path: str) -> Pooling:
    config = decode_json(snapshot, f"{path}/config.json", _PoolingConfig)
    if config.pooling_mode is None:
        modes = tuple(mode for field, mode in _LEGACY_MODES.items() if getattr(config, field)) or ("mean",)
    else:
        modes = (config.pooling_mode,) if isinstance(config.pooling_mode, str) else tuple(config.pooling_mode)
    for mode in modes:
        if mode not in POOLING_MODES:
            raise EngineLoadError(
                f"{path}/config.json: pooling mode {mode!r} is not supported (only {', '.join(POOLING_MODES)})"
            )
    if not modes:
        raise EngineLoadError(f"{path}/config.json: no pooling mode")
    return Pooling(path, modes, config.include_prompt)


def _normalize(snapshot: Path, path: str) -> Normalize:
    config = decode_json_or_default(snapshot, f"{path}/config.json", _NormalizeConfig)
    _check_names(path, config.module_input_name, config.module_output_name)
    return Normalize(path)


def _dense(snapshot: Path, path: str) -> Dense:
    config = decode_json(snapshot, f"{path}/config.json", _DenseConfig)
    _check_names(path, config.module_input_name, config.module_output_name)
    package, _, activation = (config.activation_function or "torch.nn.Identity").rpartition(".")
    if not package.startswith("torch.nn") or activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise EngineLoadError(
            f"{path}/config.json: activation_function {config.activation_function} is not supported (only torch.nn's {known})"
        )
    return Dense(path, config.in_features, config.out_features, config.bias, activation, config.use_residual)


def _layer_norm(snapshot: Path, path: str) -> LayerNorm:
    return LayerNorm(path, decode_json(snapshot, f"{path}/config.json", _LayerNormConfig).dimension)


def _check_names(path: str, given: str, made: str | None) -> None:
    if given != _SENTENCE or made not in (None, _SENTENCE):
        raise EngineLoadError(f"{path}/config.json: only {_SENTENCE} can be read and written, not {given} and {made}")


_READERS: dict[str, Callable[[Path, str], Stage]] = {
    "Pooling": _pooling,
    "Normalize": _normalize,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
}
_KINDS = ("Transformer", *_READERS, "Dropout")  # dropout does nothing outside training
