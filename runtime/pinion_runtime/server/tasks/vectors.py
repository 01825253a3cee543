"""From valid inputs to vectors: prompt, tokens, limits of the model, the one queue, and the size that was asked for."""

import asyncio
import binascii
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot

from pinion_contract.config import Limits

from ...errors import InvalidInput
from ...model.tokenizing import InputTooLong, TooManyTokens
from ...pod.state import VectorServing
from ..errors import ApiError, Code, invalid, shorten
from .engine_errors import Refusals, api_error
from .options import EncodingFormat, Options
from .texts import Inputs

_FLOAT_BYTES = 4
_NAMES_SHOWN = 20
_COUNTED = 2  # a request with up to so many times the tokens that are taken is told how many it has
_LOOP_BYTES = 64 << 10  # more vectors than these are cut and scaled on a thread


@dataclass(frozen=True)
class Vectors:
    """The answer: little-endian float32 per input, and the tokens that were computed."""

    vectors: Sequence[bytes]
    tokens: int


async def embed(
    inputs: Inputs,
    options: Options,
    serving: VectorServing,
    *,
    limits: Limits,
    request_id: str,
    tokenised: Callable[[], None] = lambda: None,
) -> Vectors:
    """Compute the vectors of one request within its limits; raise the ApiError that tells why not.

    The texts are dropped, and `tokenised` is called, before the request waits for its turn.
    """
    timeout = limits.request_timeout_seconds
    deadline = time.monotonic() + timeout
    _check_dimensions(options.dimensions, serving)
    prompt = _prompt(options, inputs, serving)
    tokens = await _token_ids(inputs, options, prompt, serving, limits.max_tokens_per_request)
    skip = await serving.tokenizer.unpooled_async(prompt) if inputs.texts else 0
    _check_left(tokens, skip, inputs)
    _check_size(tokens, inputs, limits.max_tokens_per_request)
    inputs.drop()
    tokenised()
    try:
        result = await serving.queue.submit(tokens, deadline=deadline, request_id=request_id, skip=skip)
    except Refusals as error:
        raise api_error(error, timeout=timeout, param=inputs.field) from error
    if sum(map(len, result.vectors)) <= _LOOP_BYTES:
        return Vectors(_shape(result.vectors, options, serving), result.tokens)
    return Vectors(await asyncio.to_thread(_shape, result.vectors, options, serving), result.tokens)


def encode(vector: bytes, encoding_format: EncodingFormat) -> str | list[float]:
    """Return a vector as answers have it: in base64 as it is, or as the numbers it is."""
    if encoding_format == "base64":
        return binascii.b2a_base64(vector, newline=False).decode("ascii")
    return numbers_of(vector)


def numbers_of(vector: bytes) -> list[float]:
    """Return a vector's numbers; float32 is exact in float64, so a reader who goes back to float32 has the same bits."""
    numbers = array("f")
    numbers.frombytes(vector)
    return numbers.tolist()


def _check_dimensions(asked: int | None, serving: VectorServing) -> None:
    """Accept the native size, and those that the model declares it was trained to be cut to."""
    native, declared = serving.capabilities.dimensions, serving.files.matryoshka
    if asked is None or asked == native:
        return
    if declared is None:
        why = f"but this model's vectors have {native} and can't be shortened"
    elif asked > native or (declared and asked not in declared):
        why = "but this model's vectors can be cut to " + (", ".join(map(str, declared)) or f"1 to {native}")
    else:
        return
    raise invalid(f"'dimensions' is {asked}, {why}.", param="dimensions")


def _prompt(options: Options, inputs: Inputs, serving: VectorServing) -> str | None:
    """Return the prompt asked for, None for the model's default."""
    known = serving.files.prompts
    if options.prompt_name is not None and options.prompt_name not in known:
        names = ", ".join(repr(shorten(name)) for name in sorted(known)[:_NAMES_SHOWN])
        raise invalid(
            f"'prompt_name' is {shorten(options.prompt_name)!r}, which this model does not have. It has: {names}.",
            param="prompt_name",
        )
    prompt = known[options.prompt_name] if options.prompt_name is not None else options.prompt
    if inputs.tokens and prompt:
        raise invalid(
            "A prompt can't go before token ids; send texts.", param="prompt_name" if options.prompt_name else "prompt"
        )
    return prompt


async def _token_ids(
    inputs: Inputs, options: Options, prompt: str | None, serving: VectorServing, most: int
) -> list[list[int]]:
    tokenizer = serving.tokenizer
    try:
        if inputs.texts:
            return await tokenizer.encode_async(
                inputs.texts, truncate=options.truncate, prompt=prompt, cut=options.cut, most_tokens=_COUNTED * most
            )
        _check_known(inputs, tokenizer.vocabulary_size)
        tokens: Sequence[Sequence[int]] = inputs.tokens
        if options.truncate:
            size = tokenizer.max_length
            tokens = [ids[-size:] if options.cut == "left" else ids[:size] for ids in tokens]
        return tokenizer.check(tokens)
    except InputTooLong as error:
        many = f"{error.tokens}" if error.exact else f"more than {error.tokens}"
        where = inputs.where(error.index)
        message = f"'{where}' has {many} tokens; this model takes at most {error.limit}. Send 'truncate': true to cut it."
        if inputs.tokens:
            message += " Ids that are another tokenizer's give vectors of other words: send texts unless they are this model's."
        raise invalid(message, param=where, code=Code.CONTEXT_LENGTH_EXCEEDED) from None
    except TooManyTokens as error:
        raise _too_many(f"more than {error.limit}", error.index + 1, inputs, most) from None
    except InvalidInput as error:
        raise invalid(f"{error}.", param=inputs.where(error.index)) from None


def _check_left(tokens: Sequence[Sequence[int]], skip: int, inputs: Inputs) -> None:
    for index, ids in enumerate(tokens):
        if len(ids) <= skip:
            where = inputs.where(index)
            why = "no token beside the prompt, which this model leaves out of the vector" if skip else "no token for this model"
            raise invalid(f"'{where}' has {why}; nothing can be computed of it.", param=where)


def _check_known(inputs: Inputs, size: int) -> None:
    """Refuse a request that holds an id of another tokenizer before anything else is said of it: its other ids mean nothing."""
    for index, ids in enumerate(inputs.tokens):
        if max(ids) >= size:
            wrong = shorten(str(next(number for number in ids if number >= size)))
            where = inputs.where(index)
            message = (
                f"'{where}' has the token id {wrong}; this model's ids are 0 to {size - 1}, so these are another tokenizer's."
                " Send texts; LangChain's OpenAIEmbeddings sends them with check_embedding_ctx_length=False."
            )
            raise invalid(message, param=where)


def _check_size(tokens: Sequence[Sequence[int]], inputs: Inputs, most: int) -> None:
    total = sum(map(len, tokens))
    if total > most:
        raise _too_many(f"{total}", len(tokens), inputs, most)


def _too_many(tokens: str, count: int, inputs: Inputs, most: int) -> ApiError:
    message = (
        f"The request has {tokens} tokens in {count} inputs; at most {most} are taken in one request"
        " (limits.maxTokensPerRequest). Send fewer inputs per request."
    )
    return ApiError(413, Code.REQUEST_TOO_LARGE, message, param=inputs.field)


def _shape(vectors: Sequence[bytes], options: Options, serving: VectorServing) -> Sequence[bytes]:
    """Cut to the size asked for, and make the length 1 where the model or the caller wants it and it is not."""
    cut = options.dimensions is not None and options.dimensions != serving.capabilities.dimensions
    size = (options.dimensions if cut else None) or serving.capabilities.dimensions
    # What is cut has lost its length. To say false adds nothing, and undoes nothing that the model does.
    to_unit = options.normalize is not False and (cut if serving.files.normalizes else options.normalize is True)
    if not cut and not to_unit:
        return vectors
    shaped = [vector[: size * _FLOAT_BYTES] for vector in vectors]
    return [_unit(vector) for vector in shaped] if to_unit else shaped


def _unit(vector: bytes) -> bytes:
    numbers = numbers_of(vector)
    length = hypot(*numbers) or 1.0  # nothing can be made of a vector of zeros
    return array("f", [number / length for number in numbers]).tobytes()
