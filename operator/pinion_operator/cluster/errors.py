"""What a request to the Kubernetes API can end in: a small tree under ApiError."""

import re

# How admission words a 403; and how it, and others, word one that is not about what was sent: no right, a namespace that is
# going, a server that has just come up.
_DENIED = re.compile(r" is forbidden: | denied (?:the )?request")
_NOT_NOW = re.compile(r" cannot |being terminated|not yet ready|status unknown for quota")


class ApiError(Exception):
    """A request that did not succeed; `transient` tells whether the same request may succeed later."""

    transient = True

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status  # of HTTP; 0 when there was no answer
        self.retry_after = retry_after  # seconds, when the server names them


class UnreachableError(ApiError):
    """No answer: refused, cut off, or later than the timeout. A write may have happened."""


class NotFoundError(ApiError):
    """404 on a write: the object, its owner's namespace or its kind is gone."""


class ConflictError(ApiError):
    """409: the object exists already, or has changed since it was read."""


class ExpiredError(ApiError):
    """410: what was to be continued is forgotten; only from the beginning."""


class ForbiddenError(ApiError):
    """401 or 403. Transient: an API server or a CRD that has just come up answers so; a quota can be raised."""


class ThrottledError(ApiError):
    """429: too many requests, or `storage is (re)initializing`."""


class RefusedError(ApiError):
    """400, 413, 415, 422, some 500: the API server does not accept what we sent; the same bytes will not be accepted later."""

    transient = False


class DeniedError(RefusedError):
    """403 by admission: a quota is used up, or a policy or webhook denies the request. Both may change."""


# What the API server says when a patch does not fit the kind at all (an unknown field, a list for a map), with 500 for status.
UNFIT = "failed to create typed patch object"


class ServerError(ApiError):
    """5xx."""


class NoCredentialsError(ApiError):
    """Neither a kubeconfig nor a service account: nothing was asked."""

    transient = False


def error_for(status: int, message: str, retry_after: float | None = None) -> ApiError:
    """Return the error of an HTTP status of 400 and above."""
    if status == 500 and UNFIT in message:
        return RefusedError(message, status=status)
    types: dict[int, type[ApiError]] = {
        401: ForbiddenError,
        403: DeniedError if _DENIED.search(message) and not _NOT_NOW.search(message) else ForbiddenError,
        404: NotFoundError,
        409: ConflictError,
        410: ExpiredError,
        429: ThrottledError,
    }
    return types.get(status, ServerError if status >= 500 else RefusedError)(message, status=status, retry_after=retry_after)
