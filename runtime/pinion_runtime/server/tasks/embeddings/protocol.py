"""The messages of `/v1/embeddings`: one strict reading of the request, one writing of the answer."""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ...errors import Code, invalid
from ..texts import Inputs, Options, decode_object, parse_dimensions, parse_flag, parse_inputs, parse_prompt, refuse_unknown
from ..vectors import numbers_of

ACCEPTED = ("model", "input", "encoding_format", "dimensions", "truncate", "prompt_name", "prompt")
IGNORED = ("user", "metadata", "store")  # they change nothing about a vector

EncodingFormat = Literal["float", "base64"]


@dataclass(frozen=True)
class EmbeddingRequest:
    """One valid request."""

    model: str
    inputs: Inputs
    options: Options
    encoding_format: EncodingFormat


def parse_request(body: bytes) -> EmbeddingRequest:
    """Read a body; raise a 400 that names the field, and the index where there is one."""
    fields = decode_object(body)
    refuse_unknown(fields, ACCEPTED, IGNORED)
    if fields.get("store"):
        raise invalid("Nothing is stored here: 'store' must be false.", param="store", code=Code.UNSUPPORTED_PARAMETER)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("'model' must name the model, as a string.", param="model")
    if "input" not in fields:
        raise invalid("'input' is missing.", param="input")
    prompt, prompt_name = parse_prompt(fields)
    return EmbeddingRequest(
        model=model,
        inputs=parse_inputs(fields["input"], "input"),
        encoding_format=_parse_encoding_format(fields.get("encoding_format")),
        options=Options(
            truncate=bool(parse_flag(fields, "truncate")),
            dimensions=parse_dimensions(fields.get("dimensions")),
            prompt=prompt,
            prompt_name=prompt_name,
        ),
    )


def write_answer(vectors: Sequence[bytes], tokens: int, model: str, encoding_format: EncodingFormat) -> bytes:
    """Return the body; `vectors` are little-endian float32, given in base64 as they are, or as the numbers they are."""
    data: list[dict[str, Any]] = [
        {"object": "embedding", "index": index, "embedding": _encode(vector, encoding_format)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _encode(vector: bytes, encoding_format: EncodingFormat) -> str | list[float]:
    if encoding_format == "base64":
        return binascii.b2a_base64(vector, newline=False).decode("ascii")
    return numbers_of(vector)


def _parse_encoding_format(value: Any) -> EncodingFormat:
    if value is None or value == "float":
        return "float"
    if value == "base64":
        return "base64"
    raise invalid("'encoding_format' must be 'float' or 'base64'.", param="encoding_format")
