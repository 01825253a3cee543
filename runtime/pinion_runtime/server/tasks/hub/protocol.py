"""The messages of the hub's shape: `inputs` is what to embed, or a sentence and others to compare it with."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import msgspec

from ...errors import Code, invalid
from ..bodies import WrongType, decode_as, decode_value
from ..options import EncodingFormat, Options, encoding_format_of, parse_options
from ..reading import decode_fields
from ..texts import Inputs, check_count, parse_inputs
from ..vectors import encode, numbers_of

SHAPES = "a string, a list of strings, a list of token ids, a list of such lists, or {'source_sentence', 'sentences'}"


@dataclass(frozen=True)
class HubRequest:
    """One valid request; with `compares` the first text is compared with the others."""

    inputs: Inputs
    options: Options
    model: str | None
    encoding_format: EncodingFormat
    compares: bool


def parse_request(body: bytes, *, normalize: bool | None = None) -> HubRequest:
    """Read a body; raise a 400 that names the field. `normalize` holds where the body does not say."""
    own, fields = decode_fields(body, ("inputs", "model"))
    if "inputs" not in own:
        raise invalid(f"'inputs' is missing: {SHAPES}.", param="inputs")
    value = own["inputs"]
    model = decode_value(own["model"], "model") if "model" in own else None
    if model is not None and not isinstance(model, str):
        raise invalid("'model' must be a string.", param="model")
    options, form = parse_options(fields, normalize=normalize), encoding_format_of(fields)
    kind = bytes(memoryview(value)[:1])
    if kind == b"{":
        if form != "float":
            message = "'encoding_format' must be 'float' for a comparison: its answer holds no vectors."
            raise invalid(message, param="encoding_format", code=Code.UNSUPPORTED_PARAMETER)
        return HubRequest(_parse_comparison(value), options, model, form, compares=True)
    if kind not in (b'"', b"["):
        raise invalid(f"'inputs' must be {SHAPES}.", param="inputs")
    return HubRequest(parse_inputs(value, "inputs"), options, model, form, compares=False)


def write_vectors(vectors: Sequence[bytes], encoding_format: EncodingFormat) -> bytes:
    """Return one vector per input, for a single text too."""
    # One by one: nothing else runs while the encoder does.
    return b"[%b]" % b",".join(msgspec.json.encode(encode(vector, encoding_format)) for vector in vectors)


def write_similarities(vectors: Sequence[bytes]) -> bytes:
    """Return the cosine of the first vector with each of the others."""
    source, *others = (numbers_of(vector) for vector in vectors)
    return msgspec.json.encode([_cosine(source, other) for other in others])


def _cosine(one: list[float], other: list[float]) -> float:
    lengths = hypot(*one) * hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


class _Sentences(msgspec.Struct, forbid_unknown_fields=True):
    source_sentence: str
    sentences: tuple[str, ...]


def _parse_comparison(value: msgspec.Raw) -> Inputs:
    try:
        given: _Sentences = decode_as(value, _Sentences)
    except WrongType as error:
        if not error.place:
            raise invalid(f"'inputs' must be {SHAPES}.", param="inputs") from None
        what = "a list of strings" if error.place == ".sentences" else "a string"
        raise invalid(f"'inputs{error.place}' must be {what}.", param=f"inputs{error.place}") from None
    if not given.sentences:
        raise invalid("'inputs.sentences' is an empty list.", param="inputs.sentences")
    check_count(given.sentences, "inputs.sentences")
    return _Comparison("inputs.sentences", (given.source_sentence, *given.sentences), (), is_list=True)


class _Comparison(Inputs):
    """The source sentence and, after it, those it is compared with."""

    def where(self, index: int) -> str:
        """Return the name of one of them."""
        return f"inputs.sentences[{index - 1}]" if index else "inputs.source_sentence"
