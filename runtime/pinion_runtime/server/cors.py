"""Cross-origin requests of web pages: the headers without which a browser keeps an answer from the page.

They say who may read answers, not who may ask: that is the API key's. Source: the Fetch standard, "CORS protocol".
"""

import re
from collections.abc import Callable, Iterable, Sequence

from .errors import ApiError, Code, shorten
from .http import Headers, Request, Response

ANY = "*"
_MAX_AGE_SECONDS = 3600
_READABLE = b"x-request-id, x-model-cid, retry-after, x-should-retry"  # beside those that a page may read anyway
_HEADER_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *, *[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
_MOST_CHARACTERS = 2048  # of the names of headers that a page asks for


class Cors:
    """Which pages may read answers: origins as they are at each request, none for nobody."""

    def __init__(self, origins: Callable[[], Sequence[str]] = tuple) -> None:
        self._origins = origins

    def headers(self, request: Request) -> Headers:
        """Return what is added to every answer, refusals too."""
        origins = self._origins()
        if not origins:
            return []
        if ANY in origins:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _READABLE)]
        headers = [(b"vary", b"origin")]
        origin = request.header(b"origin")
        if origin in origins and origin is not None:
            allowed = origin.encode("latin-1")
            headers += [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", _READABLE)]
        return headers

    def preflight(self, request: Request, methods: Iterable[str] | None) -> Response | None:
        """Answer a browser that asks whether a page may send a request; None for any other request, or when this is off.

        `methods` are those of the path. A path that is none is allowed as well: the page shall see the 404.
        """
        origins, origin = self._origins(), request.header(b"origin")
        if not origins or request.method != "OPTIONS" or origin is None:
            return None
        if request.header(b"access-control-request-method") is None:
            return None
        if ANY not in origins and origin not in origins:
            message = f"Pages of {shorten(origin)!r} may not read answers here: it is not among the allowed origins."
            raise ApiError(403, Code.ORIGIN_NOT_ALLOWED, message)
        wanted = request.whole_header(b"access-control-request-headers").strip()
        if len(wanted) > _MOST_CHARACTERS or (wanted and _HEADER_NAMES.fullmatch(wanted) is None):
            raise ApiError(400, Code.INVALID_REQUEST, "The header 'Access-Control-Request-Headers' is no list of names.")
        allowed = sorted({"GET", "POST", *(methods or ())} | {"HEAD"})
        headers = [
            (b"access-control-allow-methods", ", ".join(allowed).encode()),
            (b"access-control-max-age", str(_MAX_AGE_SECONDS).encode()),
        ]
        if wanted:
            headers.append((b"access-control-allow-headers", wanted.encode()))
        vary = b"access-control-request-method, access-control-request-headers"
        return Response(204, b"", headers=[*headers, (b"vary", vary)])
