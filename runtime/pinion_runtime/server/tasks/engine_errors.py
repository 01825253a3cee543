"""What a client is told when a queue does not take a request, or an engine does not carry it out."""

from ...errors import Cancelled, DeadlineExceeded, EngineDied, EngineError, NonFiniteResult
from ...scheduling.refusals import QueueFull, RequestTooLarge
from ..errors import ApiError, Code, queue_full

Refusals = (QueueFull, RequestTooLarge, EngineError)

_ENGINE_RETRY_SECONDS = 5.0


def deadline_exceeded(timeout: float) -> ApiError:
    """Return the 504; a client is told not to retry, since the same wait would come again."""
    return ApiError(504, Code.DEADLINE_EXCEEDED, f"Not done within the {timeout:.0f} s that a request may take.")


def api_error(error: QueueFull | RequestTooLarge | EngineError, *, timeout: float, param: str) -> ApiError:
    """Return the answer; `timeout` is what a request may take, `param` the field that made it too large."""
    match error:
        case QueueFull():
            told = queue_full("The queue is full", error.retry_after_seconds)
        case RequestTooLarge():
            told = ApiError(413, Code.REQUEST_TOO_LARGE, f"The request is too large: {error}.", param=param)
        case DeadlineExceeded():
            told = deadline_exceeded(timeout)
        case EngineDied() | Cancelled():
            message = "The engine died while it had this request; another one is being started."
            told = ApiError(503, Code.ENGINE_DIED, message, retry_after=_ENGINE_RETRY_SECONDS)
        case NonFiniteResult():
            told = ApiError(500, Code.NON_FINITE_RESULT, f"The model computed no finite numbers: {error}.")
        case _:
            told = ApiError(500, Code.INTERNAL, f"The engine failed: {error.code.value}.")
    return told
