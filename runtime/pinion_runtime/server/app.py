"""The raw ASGI application of one port: find the route, answer, and name model and request on every answer."""

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Protocol

from .cors import Cors
from .errors import ApiError, Code, shorten
from .http import (
    BrokenOff,
    ClientGone,
    Headers,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    StreamingResponse,
    json_response,
)
from .streaming import Streaming

Handler = Callable[[Request], Awaitable[Response | StreamingResponse]]

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_DISCARD_BYTES = 1 << 26  # a refused body is read and thrown away up to here; past it the connection is closed
_DISCARD_SECONDS = 10.0  # and for so long
_UNKNOWN_ROUTE = "other"  # the label of what is no route of ours
_CLIENT_GONE = 499  # nobody reads it; the counter shows it


class Observer(Protocol):
    """What an application tells about its requests, and what it has to know of the pod."""

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Take one answer."""

    def refused(self, error_type: str) -> None:
        """Take one refusal."""

    def failed(self, code: str, message: str) -> None:
        """Take what was our fault: no refusal, but an error."""

    def model_cid(self) -> str:
        """Return the CID of what is served; "" before it is known."""

    def draining(self) -> bool:
        """Tell whether connections should not be kept."""


class App:
    """Routes of one port: exact paths, "/" too, and prefixes that end in a slash and take the rest of the path as one name."""

    def __init__(
        self,
        routes: dict[str, dict[str, Handler]],
        observer: Observer,
        *,
        guard: Callable[[Request], None] | None = None,
        unguarded: Collection[str] = (),
        cors: Cors | None = None,
        discard_seconds: float = _DISCARD_SECONDS,
    ) -> None:
        """`guard` raises for a request that may not ask; it is asked before any route but the `unguarded` ones.

        A browser that asks beforehand whether a page may send a request has no key to show.
        """
        self._prefixes = {path: methods for path, methods in routes.items() if path != "/" and path.endswith("/")}
        self._exact = {path: methods for path, methods in routes.items() if path not in self._prefixes}
        self._observer = observer
        self._guard = guard
        self._unguarded = frozenset(unguarded)
        self._cors = cors or Cors()
        self._discard_seconds = discard_seconds
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; raise BrokenOff for an answer that ends before its end."""
        started = time.perf_counter()
        request = Request(scope, receive)
        endpoint, methods = self._find(request.path)
        extra = self._extra(request)
        broken = False
        self.in_flight += 1
        try:
            response = await self._respond(request, endpoint, methods)
            if isinstance(response, StreamingResponse):
                streaming = Streaming(response, request, send, extra)
                refusal = await self._stream(streaming, endpoint)
                broken = refusal is not None and streaming.began
            else:
                refusal = response
            if refusal is not None and not broken:
                await self._send(refusal, request, send, extra)
            status = HTTPStatus.OK if refusal is None else refusal.status
            self._observer.answered(endpoint, status, time.perf_counter() - started)
        except ClientGone:
            self._observer.answered(endpoint, _CLIENT_GONE, time.perf_counter() - started)
        finally:
            self.in_flight -= 1
        if broken:
            raise BrokenOff

    def refuse_unread(self, error: ApiError) -> tuple[Response, Headers]:
        """Count what never became a request, and return its answer and the headers beside its own."""
        self._observer.answered(_UNKNOWN_ROUTE, error.status, 0.0)
        return self._refuse(error), [*self._headers(uuid.uuid4().hex), (b"connection", b"close")]

    def _find(self, path: str) -> tuple[str, dict[str, Handler] | None]:
        if methods := self._exact.get(path):
            return path, methods
        for prefix, methods in self._prefixes.items():
            if len(path) > len(prefix) and path.startswith(prefix):
                return f"{prefix}{{id}}", methods
        return _UNKNOWN_ROUTE, None

    async def _respond(
        self, request: Request, endpoint: str, methods: dict[str, Handler] | None
    ) -> Response | StreamingResponse:
        try:
            if (response := self._cors.preflight(request, methods)) is not None:
                return response
            if self._guard is not None and methods is not None and endpoint not in self._unguarded:
                self._guard(request)
            return await self._route(request, methods)
        except Exception as error:
            return self._refusal(error, endpoint)

    async def _stream(self, streaming: Streaming, endpoint: str) -> Response | None:
        """Send an answer in pieces; return why it did not come to its end, None where it did."""
        try:
            await streaming.run()
        except Exception as error:
            refusal = self._refusal(error, endpoint)
            if streaming.began:
                await streaming.break_off(refusal.body)
            return refusal
        return None

    async def _send(self, response: Response, request: Request, send: Send, extra: Callable[[], Headers]) -> None:
        headers = extra()
        if response.status >= 400 and not await request.discard_body(_DISCARD_BYTES, self._discard_seconds):
            headers.append((b"connection", b"close"))
        await response.send(send, headers)

    def _extra(self, request: Request) -> Callable[[], Headers]:
        """Return the headers beside an answer's own, as they are when its head is sent."""
        request_id = _request_id(request)

        def extra() -> Headers:
            headers = [*self._headers(request_id), *self._cors.headers(request)]
            if self._observer.draining():
                headers.append((b"connection", b"close"))
            return headers

        return extra

    def _refusal(self, error: Exception, endpoint: str) -> Response:
        """Count an error, and return its answer; raise ClientGone again, for nobody is there to read one."""
        match error:
            case ClientGone():
                raise error
            case ApiError(status=HTTPStatus.INTERNAL_SERVER_ERROR):
                reason = str(error.__cause__ or error.message)
                _log.error("%s failed: %s: %s", endpoint, error.code, reason)
                self._observer.failed(error.code.value, reason)
                return self._refuse(error)
            case ApiError():
                return self._refuse(error)
        # The text of an error may hold a caller's words: the log names the place, the answer nothing.
        _log.error("error in %s", endpoint, exc_info=error)
        self._observer.failed(Code.INTERNAL.value, f"{type(error).__name__} in {endpoint}; the log has more")
        return self._refuse(ApiError(500, Code.INTERNAL, "Internal error; the log of the pod has more."))

    def _refuse(self, error: ApiError) -> Response:
        self._observer.refused(error.code.value)
        return json_response(error.body(), status=error.status, headers=error.headers())

    async def _route(self, request: Request, methods: dict[str, Handler] | None) -> Response | StreamingResponse:
        if methods is None:
            known = ", ".join(sorted([*self._exact, *(f"{prefix}{{id}}" for prefix in self._prefixes)]))
            raise ApiError(404, Code.NOT_FOUND, f"There is no {shorten(request.path)!r} here. Paths: {known}.")
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = ", ".join(sorted(methods))
            raise ApiError(405, Code.METHOD_NOT_ALLOWED, f"{request.path} takes {allow}, not {request.method}.", allow=allow)
        return await handler(request)

    def _headers(self, request_id: str) -> Headers:
        headers: Headers = [(b"x-request-id", request_id.encode())]
        if cid := self._observer.model_cid():
            headers.append((b"x-model-cid", cid.encode()))
        return headers


def _request_id(request: Request) -> str:
    """Return the caller's own, when it is harmless."""
    given = request.header(b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
