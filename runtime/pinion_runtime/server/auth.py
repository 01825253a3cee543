"""Who may use the inference routes: `Authorization: Bearer KEY`, and nothing else, once keys are required."""

from collections.abc import Callable

from ..pod.api_keys import KeyRing
from .errors import ApiError, Code
from .http import Request

Guard = Callable[[Request], None]


def bearer_guard(ring: KeyRing) -> Guard:
    """Return what raises a 401 for a request without a known key, and notes whose key one has."""

    def guard(request: Request) -> None:
        if not ring.required:
            return
        given = request.header(b"authorization")
        if given is None:
            raise _unauthorized("An API key is needed: send 'Authorization: Bearer KEY'. A key in the URL is not taken.")
        scheme, _, key = given.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized("The 'Authorization' header must be 'Bearer KEY'.")
        client = ring.client_of(key.strip().encode("latin-1"))
        if client is None:
            raise _unauthorized("This API key is not known here.")
        request.client = client

    return guard


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, Code.INVALID_API_KEY, message)
