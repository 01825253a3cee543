"""The messages of `/v1/embeddings`: one strict reading of the request, one writing of the answer."""

import binascii
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ...errors import Code, invalid, shorten

ACCEPTED = ("model", "input", "encoding_format", "dimensions", "truncate")
IGNORED = ("user", "metadata", "store")  # they change nothing about a vector
MAX_INPUTS = 2048

EncodingFormat = Literal["float", "base64"]
Texts = tuple[str, ...]
TokenLists = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class EmbeddingRequest:
    """One valid request; exactly one of `texts` and `tokens` is not empty."""

    model: str
    texts: Texts
    tokens: TokenLists
    is_list: bool  # of inputs, so that messages can name the index
    encoding_format: EncodingFormat
    truncate: bool
    dimensions: int | None


def parse_request(body: bytes) -> EmbeddingRequest:
    """Read a body; raise a 400 that names the field, and the index where there is one."""
    fields = _decode(body)
    for name in fields:
        if name not in ACCEPTED and name not in IGNORED:
            known = f"Accepted: {', '.join(ACCEPTED)}; accepted and ignored: {', '.join(IGNORED)}."
            message = f"Unsupported parameter {shorten(name)!r}. {known}"
            raise invalid(message, param=shorten(name), code=Code.UNSUPPORTED_PARAMETER)
    if fields.get("store"):
        raise invalid("Nothing is stored here: 'store' must be false.", param="store", code=Code.UNSUPPORTED_PARAMETER)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("'model' must name the model, as a string.", param="model")
    texts, tokens = _parse_input(fields)
    return EmbeddingRequest(
        model=model,
        texts=texts,
        tokens=tokens,
        is_list=isinstance(fields["input"], list) and not (tokens and _is_integer(fields["input"][0])),
        encoding_format=_parse_encoding_format(fields.get("encoding_format")),
        truncate=_parse_truncate(fields.get("truncate")),
        dimensions=_parse_dimensions(fields.get("dimensions")),
    )


def check_dimensions(asked: int | None, native: int) -> None:
    """Accept the native size; refuse any other, because the model was not trained to be cut."""
    if asked is not None and asked != native:
        raise invalid(
            f"'dimensions' is {asked}, but this model's vectors have {native} and can't be shortened.", param="dimensions"
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
    numbers = array("f")
    numbers.frombytes(vector)
    # float32 is exact in float64, so a reader who goes back to float32 has the same bits as in base64.
    return numbers.tolist()


def _decode(body: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # A string that ends in a lone surrogate is reported as truncated by the decoder; say what is likelier.
        hint = " A string may hold a lone surrogate, which is no text." if b"\\ud" in body.lower() else ""
        message = "too deeply nested" if isinstance(error, RecursionError) else shorten(str(error), 160)
        raise invalid(f"The body is not valid JSON: {message}.{hint}", code=Code.INVALID_JSON) from None
    if not isinstance(fields, dict):
        raise invalid("The body must be a JSON object.", code=Code.INVALID_JSON)
    return fields


def _parse_input(fields: dict[str, Any]) -> tuple[Texts, TokenLists]:
    if "input" not in fields:
        raise invalid("'input' is missing.", param="input")
    value = fields["input"]
    if isinstance(value, str):
        return (_text(value, "input"),), ()
    if not isinstance(value, list):
        raise invalid(
            "'input' must be a string, a list of strings, a list of token ids, or a list of such lists.", param="input"
        )
    if not value:
        raise invalid("'input' is an empty list.", param="input")
    first = value[0]
    if _is_integer(first):
        return (), (_token_list(value, "input"),)
    if len(value) > MAX_INPUTS:
        raise invalid(f"'input' has {len(value)} entries; at most {MAX_INPUTS} are taken at once.", param="input")
    if isinstance(first, str):
        return tuple(_text(entry, f"input[{index}]") for index, entry in enumerate(value)), ()
    if isinstance(first, list):
        return (), tuple(_token_list(entry, f"input[{index}]") for index, entry in enumerate(value))
    raise invalid("'input[0]' must be a string, a token id, or a list of token ids.", param="input[0]")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"'{where}' must be a string, as the entries before it.", param=where)
    if not value:
        raise invalid(f"'{where}' is an empty string.", param=where)
    return value


def _token_list(value: Any, where: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise invalid(f"'{where}' must be a list of token ids, as the entries before it.", param=where)
    if not value:
        raise invalid(f"'{where}' is an empty list of token ids.", param=where)
    for index, token in enumerate(value):
        if not _is_integer(token):
            raise invalid(f"'{where}[{index}]' must be a token id, an integer.", param=f"{where}[{index}]")
        if token < 0:
            raise invalid(
                f"'{where}[{index}]' is {shorten(str(token))}; a token id is not negative.", param=f"{where}[{index}]"
            )
    return tuple(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _parse_encoding_format(value: Any) -> EncodingFormat:
    if value is None or value == "float":
        return "float"
    if value == "base64":
        return "base64"
    raise invalid("'encoding_format' must be 'float' or 'base64'.", param="encoding_format")


def _parse_truncate(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise invalid("'truncate' must be true or false.", param="truncate")


def _parse_dimensions(value: Any) -> int | None:
    if value is None:
        return None
    if not _is_integer(value) or value < 1:
        raise invalid("'dimensions' must be a positive integer.", param="dimensions")
    return int(value)
