"""The messages of `/v1/embeddings`: one strict reading of the request, one writing of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ...errors import invalid
from ..bodies import decode_value
from ..options import EncodingFormat, Options, encoding_format_of, parse_options
from ..reading import decode_fields
from ..texts import Inputs, parse_inputs
from ..vectors import encode


@dataclass(frozen=True)
class EmbeddingRequest:
    """One valid request."""

    model: str
    inputs: Inputs
    options: Options
    encoding_format: EncodingFormat


def parse_request(body: bytes) -> EmbeddingRequest:
    """Read a body; raise a 400 that names the field, and the index where there is one."""
    own, fields = decode_fields(body, ("input", "model"))
    model = decode_value(own["model"], "model") if "model" in own else None
    if not isinstance(model, str) or not model:
        raise invalid("'model' must name the model, as a string.", param="model")
    if "input" not in own:
        raise invalid("'input' is missing.", param="input")
    return EmbeddingRequest(
        model=model,
        inputs=parse_inputs(own["input"], "input"),
        encoding_format=encoding_format_of(fields),
        options=parse_options(fields),
    )


def write_answer(vectors: Sequence[bytes], tokens: int, model: str, encoding_format: EncodingFormat) -> bytes:
    """Return the body; `vectors` are little-endian float32."""
    # One by one: nothing else runs while the encoder does.
    data = b",".join(
        msgspec.json.encode({"object": "embedding", "index": index, "embedding": encode(vector, encoding_format)})
        for index, vector in enumerate(vectors)
    )
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    end = msgspec.json.encode({"model": model, "usage": usage})
    return b'{"object":"list","data":[%b],%b' % (data, end[1:])
