"""What the files of a model say of generation: the ids that end an answer, and how tokens are chosen by default."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from ..errors import EngineLoadError
from .json_files import decode_json, decode_json_or_default

FILE = "generation_config.json"


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """How tokens are chosen where neither the request nor the model's files say it: from the whole distribution."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0 = all
    min_p: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class GenerationFiles:
    """What generation_config.json says; where it says nothing of the end, what config.json does."""

    end_ids: tuple[int, ...]  # sorted
    sampling: SamplingDefaults


class _GenerationConfig(msgspec.Struct):
    """The fields that are read. `do_sample` is not: a request that wants the likeliest token asks for temperature 0."""

    eos_token_id: int | list[int] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


class _Config(msgspec.Struct):
    eos_token_id: int | list[int] | None = None


_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "temperature": ("0 or more", lambda value: value >= 0),
    "top_p": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    "top_k": ("0 or more", lambda value: value >= 0),
    "min_p": ("0 to 1", lambda value: 0 <= value <= 1),
    "repetition_penalty": ("above 0", lambda value: value > 0),
}


def read_generation_files(folder: Path) -> GenerationFiles:
    """Read the folder of config.json; raise EngineLoadError that names the file and the field."""
    generation = decode_json_or_default(folder, FILE, _GenerationConfig)
    end = generation.eos_token_id
    if end is None:
        end = decode_json(folder, "config.json", _Config).eos_token_id
    given: dict[str, Any] = {}
    for field in fields(SamplingDefaults):
        value = getattr(generation, field.name)
        if value is None:
            continue
        range_, holds = _RANGES[field.name]
        if not isfinite(value) or not holds(value):
            raise EngineLoadError(f"{FILE}: {field.name} is {value:g}; it must be {range_}")
        given[field.name] = value
    ids = [end] if isinstance(end, int) else end or []
    return GenerationFiles(tuple(sorted({number for number in ids if number >= 0})), SamplingDefaults(**given))
