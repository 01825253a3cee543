"""From what a request says to what the engine is told: the model's own defaults, and ids that the model has."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ....engines.protocol import Sampling
from ...errors import ApiError, invalid
from ..taking import as_json
from .bounds import SEEDS
from .options import GenerationOptions
from .parameters import TABLES
from .values import bias_place


@dataclass(frozen=True)
class SamplingDefaults:
    """What a model's generation_config.json says of sampling; None where it does not."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


def defaults_of(generation_config: Mapping[str, Any]) -> SamplingDefaults:
    """Return a model's defaults from its generation_config.json, decoded; {} where it has none.

    As in vLLM, `do_sample` is not looked at: a model whose file says false, or nothing, is sampled at its file's temperature,
    or at 1, unless a request says `"temperature": 0`. Raises ValueError for a value that no request may have.
    """
    found: dict[str, Any] = {}
    for name in (field.name for field in fields(SamplingDefaults)):
        value, parameter = generation_config.get(name), TABLES["completions"][name]
        if value is None:
            continue
        if not parameter.valid(value):
            raise ValueError(f"generation_config.json: '{name}' is {as_json(value)}; it must be {parameter.takes}")
        found[name] = value
    return SamplingDefaults(**found)


def sampling_of(options: GenerationOptions, defaults: SamplingDefaults, vocabulary_size: int, *, drawn_seed: int) -> Sampling:
    """Return how tokens are chosen: what the request says, else the model's defaults, else the whole distribution at 1.

    As in vLLM, `do_sample` of a model's file changes nothing. `drawn_seed` is used where the request has none; seeds are taken
    modulo 2^63. Raises the 400 for an id that is not below `vocabulary_size`, the width of the logits.
    """
    check_vocabulary(options, vocabulary_size)
    top_k = _first(options.top_k, defaults.top_k, 0)
    return Sampling(
        seed=(drawn_seed if options.seed is None else options.seed) % SEEDS,
        temperature=float(_first(options.temperature, defaults.temperature, 1.0)),
        top_p=float(_first(options.top_p, defaults.top_p, 1.0)),
        top_k=int(top_k) if 0 < top_k < vocabulary_size else 0,
        min_p=float(_first(options.min_p, defaults.min_p, 0.0)),
        presence_penalty=float(options.presence_penalty),
        frequency_penalty=float(options.frequency_penalty),
        repetition_penalty=float(_first(options.repetition_penalty, defaults.repetition_penalty, 1.0)),
        logit_bias=dict(options.logit_bias),
    )


def check_vocabulary(options: GenerationOptions, vocabulary_size: int) -> None:
    """Raise the 400 for a bias or a stop id that is not below `vocabulary_size`, the width of the logits."""
    for number in options.logit_bias:
        if number >= vocabulary_size:
            raise _no_such_id(number, bias_place(number), vocabulary_size)
    for index, number in enumerate(options.stop_token_ids):
        if number >= vocabulary_size:
            raise _no_such_id(number, f"stop_token_ids[{index}]", vocabulary_size)


def _no_such_id(number: int, place: str, size: int) -> ApiError:
    return invalid(f"'{place}': this model has no token {number}; its ids are 0 to {size - 1}.", param=place)


def _first(asked: float | None, model: float | None, otherwise: float) -> float:
    """Return the first that is there."""
    return asked if asked is not None else model if model is not None else otherwise
