"""The messages of the hub's shape: `inputs` is what to embed, or a sentence and others to compare it with."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

import msgspec

from ...errors import Code, invalid
from ..texts import (
    Inputs,
    Options,
    Side,
    decode_object,
    parse_dimensions,
    parse_flag,
    parse_inputs,
    parse_prompt,
    parse_texts,
    refuse_unknown,
)
from ..vectors import numbers_of

SHAPES = "a string, a list of strings, a list of token ids, a list of such lists, or {'source_sentence', 'sentences'}"
_OPTIONS = ("truncate", "truncation_direction", "prompt_name", "prompt", "normalize", "dimensions", "encoding_format")
_ACCEPTED = ("inputs", "model", "parameters", *_OPTIONS)
_IGNORED = ("options",)  # of the hub's own service: caching, waiting for a model
_SENTENCES = ("source_sentence", "sentences")


@dataclass(frozen=True)
class HubRequest:
    """One valid request; with `compares` the first text is compared with the others."""

    inputs: Inputs
    options: Options
    model: str | None
    compares: bool


def parse_request(body: bytes, *, normalize: bool | None = None) -> HubRequest:
    """Read a body; raise a 400 that names the field. `normalize` holds where the body does not say."""
    fields = decode_object(body)
    refuse_unknown(fields, _ACCEPTED, _IGNORED)
    if "inputs" not in fields:
        raise invalid(f"'inputs' is missing: {SHAPES}.", param="inputs")
    model = fields.get("model")
    if model is not None and not isinstance(model, str):
        raise invalid("'model' must be a string.", param="model")
    options = _parse_options(fields, normalize)
    value = fields["inputs"]
    if isinstance(value, dict):
        return HubRequest(_parse_comparison(value), options, model, compares=True)
    if not isinstance(value, str | list):
        raise invalid(f"'inputs' must be {SHAPES}.", param="inputs")
    return HubRequest(parse_inputs(value, "inputs"), options, model, compares=False)


def write_vectors(vectors: Sequence[bytes]) -> bytes:
    """Return one list of numbers per input, for a single text too."""
    return msgspec.json.encode([numbers_of(vector) for vector in vectors])


def write_similarities(vectors: Sequence[bytes]) -> bytes:
    """Return the cosine of the first vector with each of the others."""
    source, *others = (numbers_of(vector) for vector in vectors)
    return msgspec.json.encode([_cosine(source, other) for other in others])


def _cosine(one: list[float], other: list[float]) -> float:
    lengths = hypot(*one) * hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def _parse_comparison(value: dict[str, Any]) -> Inputs:
    if set(value) != set(_SENTENCES):
        raise invalid(f"'inputs' must be {SHAPES}.", param="inputs")
    source = value["source_sentence"]
    if not isinstance(source, str) or not source:
        raise invalid("'inputs.source_sentence' must be a string that is not empty.", param="inputs.source_sentence")
    return _Comparison("inputs.sentences", (source, *parse_texts(value["sentences"], "inputs.sentences")), (), is_list=True)


class _Comparison(Inputs):
    """The source sentence and, after it, those it is compared with."""

    def where(self, index: int) -> str:
        """Return the name of one of them."""
        return f"inputs.sentences[{index - 1}]" if index else "inputs.source_sentence"


def _parse_options(fields: dict[str, Any], normalize: bool | None) -> Options:
    """Read the options, at the top or below `parameters`, where some clients put them."""
    parameters = fields.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise invalid("'parameters' must be an object.", param="parameters")
    given = {name: fields[name] for name in _OPTIONS if name in fields}
    for name, value in (parameters or {}).items():
        if name not in _OPTIONS:
            refuse_unknown({f"parameters.{name}": value}, [f"parameters.{each}" for each in _OPTIONS])
        if given.setdefault(name, value) != value:
            raise invalid(f"'{name}' is given twice, with two values.", param=f"parameters.{name}")
    prompt, prompt_name = parse_prompt(given)
    if given.get("encoding_format") not in (None, "float"):
        raise invalid("'encoding_format' must be 'float' here.", param="encoding_format", code=Code.UNSUPPORTED_PARAMETER)
    flag = parse_flag(given, "normalize")
    return Options(
        truncate=bool(parse_flag(given, "truncate")),
        cut=_parse_side(given.get("truncation_direction")),
        prompt=prompt,
        prompt_name=prompt_name,
        dimensions=parse_dimensions(given.get("dimensions")),
        normalize=normalize if flag is None else flag,
    )


def _parse_side(value: Any) -> Side | None:
    if value is None:
        return None
    if isinstance(value, str) and value.lower() in ("left", "right"):
        return "left" if value.lower() == "left" else "right"
    raise invalid("'truncation_direction' must be 'left' or 'right'.", param="truncation_direction")
