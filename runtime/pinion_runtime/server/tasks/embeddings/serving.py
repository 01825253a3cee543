"""From a valid request to vectors: tokens counted, limits of the model kept, then the one queue."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ....engines.protocol import Cancelled, DeadlineExceeded, EngineDied, EngineError, InvalidInput, NonFiniteResult
from ....pod import Serving
from ....queue import QueueFull, RequestTooLarge
from ....tokenizing import InputTooLong
from ...errors import ApiError, Code, invalid
from .protocol import EmbeddingRequest, check_dimensions

_ENGINE_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Vectors:
    """The answer: little-endian float32 per input, and the tokens that were computed."""

    vectors: Sequence[bytes]
    tokens: int


async def embed(request: EmbeddingRequest, serving: Serving, *, timeout: float, request_id: str) -> Vectors:
    """Compute the vectors of one request within `timeout` seconds; raise the ApiError that tells why not."""
    deadline = time.monotonic() + timeout
    check_dimensions(request.dimensions, serving.capabilities.dimensions)
    tokens = await _token_ids(request, serving)
    try:
        result = await serving.queue.submit(tokens, deadline=deadline, request_id=request_id)
    except QueueFull as error:
        raise ApiError(
            429, Code.QUEUE_FULL, "The queue is full; try again later.", retry_after=error.retry_after_seconds
        ) from None
    except RequestTooLarge as error:
        raise ApiError(413, Code.REQUEST_TOO_LARGE, f"The request is too large: {error}.", param="input") from None
    except DeadlineExceeded:
        raise deadline_exceeded(timeout) from None
    except (EngineDied, Cancelled):
        message = "The engine died while it had this request; another one is being started."
        raise ApiError(503, Code.ENGINE_DIED, message, retry_after=_ENGINE_RETRY_SECONDS) from None
    except NonFiniteResult as error:
        raise ApiError(500, Code.NON_FINITE_RESULT, f"The model computed no finite numbers: {error}.") from None
    except EngineError as error:
        raise ApiError(500, Code.INTERNAL, f"The engine failed: {error.code.value}.") from None
    return Vectors(result.vectors, result.tokens)


def deadline_exceeded(timeout: float) -> ApiError:
    """Return the 504; a client is told not to retry, since the same wait would come again."""
    return ApiError(504, Code.DEADLINE_EXCEEDED, f"Not done within the {timeout:.0f} s that a request may take.")


async def _token_ids(request: EmbeddingRequest, serving: Serving) -> list[list[int]]:
    tokenizer = serving.tokenizer
    try:
        if request.texts:
            return await tokenizer.encode_async(request.texts, truncate=request.truncate)
        tokens: Sequence[Sequence[int]] = request.tokens
        if request.truncate:
            tokens = [ids[: tokenizer.max_length] for ids in tokens]
        return tokenizer.check(tokens)
    except InputTooLong as error:
        many = f"{error.tokens}" if error.exact else f"more than {error.tokens}"
        where = _where(request, error.index)
        message = f"'{where}' has {many} tokens; this model takes at most {error.limit}. Send 'truncate': true to cut it."
        raise invalid(message, param=where, code=Code.CONTEXT_LENGTH_EXCEEDED) from None
    except InvalidInput as error:
        raise invalid(f"{error}.", param=_where(request, error.index)) from None


def _where(request: EmbeddingRequest, index: int) -> str:
    return f"input[{index}]" if request.is_list else "input"
