"""How tokens are chosen where a request does not say it: what generation_config.json says of it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from ..errors import EngineLoadError
from .json_files import decode_json_or_default

FILE = "generation_config.json"


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """How tokens are chosen where neither the request nor the model's file says it: from the whole distribution."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0 = all
    min_p: float = 0.0
    repetition_penalty: float = 1.0


class _GenerationConfig(msgspec.Struct):
    """The fields that are read. `do_sample` is not: a request that wants the likeliest token asks for temperature 0."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "temperature": ("0 or more", lambda value: value >= 0),
    "top_p": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    "top_k": ("0 or more", lambda value: value >= 0),
    "min_p": ("0 to 1", lambda value: 0 <= value <= 1),
    "repetition_penalty": ("above 0", lambda value: value > 0),
}


def read_sampling_defaults(folder: Path) -> SamplingDefaults:
    """Read the folder of config.json; raise EngineLoadError that names the file and the field."""
    said = decode_json_or_default(folder, FILE, _GenerationConfig)
    given: dict[str, Any] = {}
    for field in fields(SamplingDefaults):
        value = getattr(said, field.name)
        if value is None:
            continue
        range_, holds = _RANGES[field.name]
        if not isfinite(value) or not holds(value):
            raise EngineLoadError(f"{FILE}: {field.name} is {value:g}; it must be {range_}")
        given[field.name] = value
    return SamplingDefaults(**given)
