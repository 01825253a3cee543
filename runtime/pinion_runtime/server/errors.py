"""Every refusal of the inference port, in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

import random
from collections.abc import Sequence
from enum import StrEnum


class Code(StrEnum):
    """What went wrong, for programs; also the label `error_type` of the error counter."""

    INVALID_REQUEST = "invalid_request"  # the body or one of its fields is not what the route takes
    INVALID_JSON = "invalid_json"
    MALFORMED_HTTP = "malformed_http"  # what arrived is no request, or its body is cut wrongly
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    UNSUPPORTED_TASK = "unsupported_task"  # the model is served for something else
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    CHAT_TEMPLATE_LIMIT = "chat_template_limit"  # the model's template takes too long with these messages, or writes too much
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"  # a Content-Encoding or charset that is not taken
    REQUEST_TIMEOUT = "request_timeout"  # the client did not send its head or body in time
    INVALID_API_KEY = "invalid_api_key"  # none, or one that nobody has
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"  # a browser asks for a page that may not read answers
    MODEL_NOT_FOUND = "model_not_found"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    QUEUE_FULL = "queue_full"
    MODEL_NOT_READY = "model_not_ready"
    MODEL_FAILED = "model_failed"
    ENGINE_DIED = "engine_died"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    SHUTTING_DOWN = "shutting_down"
    NON_FINITE_RESULT = "non_finite_result"
    INTERNAL = "internal_error"


RETRY_AFTER_LIMIT_SECONDS = 120  # a client that honours more than this sleeps for longer than anyone waits
_RETRY_AFTER_SPREAD_SECONDS = 3.0  # between the first and the last of those who are refused together, at least


class ApiError(Exception):
    """A refusal that a client sees.

    `retry_after` in seconds means that the same request may succeed then; without it a client is told not to retry.
    """

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        allow: str = "",
        more: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.allow = allow
        self.more = more

    @property
    def type(self) -> str:
        """Return OpenAI's `type` for this status."""
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> dict[str, dict[str, str | None]]:
        """Return the JSON body."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code.value}}

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell a client whether, and when, to try again, and what some statuses must name."""
        headers = list(self.more)
        if self.retry_after is None:
            # The official client retries 408, 409, 429 and every 5xx by itself unless it is told otherwise.
            headers.append((b"x-should-retry", b"false"))
        else:
            seconds = min(max(1, round(self.retry_after + 0.5)), RETRY_AFTER_LIMIT_SECONDS)
            headers += [(b"retry-after", str(seconds).encode()), (b"x-should-retry", b"true")]
        if self.allow:
            headers.append((b"allow", self.allow.encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        return headers


def invalid(message: str, *, param: str | None = None, code: Code = Code.INVALID_REQUEST) -> ApiError:
    """Return a 400 about one field, or about the whole body."""
    return ApiError(400, code, message, param=param)


def queue_full(why: str, seconds: float) -> ApiError:
    """Return the 429 for what may find room in so many seconds; who was refused together is not asked back together."""
    soonest = min(seconds, RETRY_AFTER_LIMIT_SECONDS / 2)
    latest = max(2 * soonest, soonest + _RETRY_AFTER_SPREAD_SECONDS)
    return ApiError(429, Code.QUEUE_FULL, f"{why}; try again later.", retry_after=random.uniform(soonest, latest))


def model_not_found(asked: str, served: str) -> ApiError:
    """Return the 404 for a model that is not the one served here."""
    return ApiError(
        404, Code.MODEL_NOT_FOUND, f"The model {shorten(asked)!r} is not served here; this is {served!r}.", param="model"
    )


def shorten(text: str, limit: int = 80) -> str:
    """Cut caller text for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
