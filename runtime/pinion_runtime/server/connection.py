"""One connection of a port: uvicorn's protocol, which drops offers to upgrade, keeps limits, and refuses as routes do."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from .app import App
from .delivery import Delivery
from .errors import ApiError, Code, queue_full
from .refusal_log import RefusalLog

_VERSIONS = ("1.0", "1.1")  # of those that the parser knows
_OTHER_VERSION = "Invalid HTTP version"  # what the parser says of one that is not among those it knows
MOST_PIPELINED = 128  # requests of one connection that wait for the answer to another


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a connection a client may take before it has to give or take something."""

    connections: int = 4096  # at once; past it the one goes that has owed us something for longest, or else the new one
    head_bytes: int = 64 * 1024  # of a request's line and headers, or of trailers: what comes before anything can be done
    head_seconds: float = 20.0  # for a request's head, from its first byte
    idle_seconds: float = 75.0  # without a request; longer than clients' pools keep one, so that they close it, not we
    rest_seconds: float = 10.0  # for the end of a body whose request has been answered
    stall_seconds: float = 30.0  # for the next piece of an answer to be taken
    linger_seconds: float = 2.0  # a refused client that still writes reads the answer before it sees a reset


@dataclass(frozen=True, slots=True)
class Port:
    """What the connections of one port share."""

    app: App
    bounds: Bounds
    owing: "dict[Connection, None]" = field(default_factory=dict)  # those that are waited for, the longest first
    log: RefusalLog = field(default_factory=RefusalLog)


class _Owed(Enum):
    """What the timer of a connection waits for."""

    REQUEST = auto()
    HEAD = auto()
    REST = auto()  # of an answered body
    END = auto()  # of a connection that was refused


class Connection(HttpToolsProtocol):
    """The parser treats all that follows an offer to upgrade as another protocol: it gets the head again, without the offer."""

    def __init__(self, port: Port, **given: Any) -> None:
        super().__init__(**given)
        self._port = port
        self._app, self._bounds = port.app, port.bounds
        self._owed = _Owed.REQUEST
        self._in_head = self._in_body = False
        self._progressed = False  # the last bytes ended a head, or were of a body
        self._idle_bytes = 0  # since the last that did
        self._running: RequestResponseCycle | None = None
        self._refusal: ApiError | None = None  # nothing is read after it
        self._refused = False
        self._flushing: asyncio.TimerHandle | None = None

    # --- the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of TCP alone, as uvicorn says too
        """Take the connection, and wait for a request."""
        super().connection_made(transport)
        if len(self.connections) <= self._bounds.connections or self._make_room():
            self._expect(_Owed.REQUEST, self._bounds.idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way, which with pipelined ones is not the latest."""
        self._unset_keepalive_if_required()
        self._stop_flushing()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; what can't be parsed is refused."""
        if self._refusal is not None:
            return  # until the client has seen why
        self._progressed = False
        left: bytes | memoryview = data
        try:
            while True:
                try:
                    self.parser.feed_data(left)
                    break
                except httptools.HttpParserUpgrade as offer:
                    left = memoryview(left)[offer.args[0] :]
                    self._drop_offer()
        except httptools.HttpParserError as error:
            reason = "" if isinstance(error, httptools.HttpParserCallbackError) else f": {error}"
            status = 505 if str(error) == _OTHER_VERSION else 400
            self._refuse(self._refusal or ApiError(status, Code.MALFORMED_HTTP, f"This is no request of HTTP/1.1{reason}."))
            return
        self._idle_bytes = 0 if self._progressed else self._idle_bytes + len(data)
        if self._idle_bytes > self._bounds.head_bytes:
            self._refuse(self._too_long())
        elif not self._busy:
            self._expect_the_rest()

    def pause_writing(self) -> None:
        """Stop writing, and watch that the client goes on reading."""
        super().pause_writing()
        self._watch_flush()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        self._stop_flushing()

    # --- the parser

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none of the request's headers."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request, unless its head has to be parsed again or is refused."""
        if self.parser.get_method() == b"CONNECT":
            raise self._note(ApiError(405, Code.METHOD_NOT_ALLOWED, "CONNECT is not taken: this is no proxy."))
        if (version := self.parser.get_http_version()) not in _VERSIONS:
            raise self._note(ApiError(505, Code.MALFORMED_HTTP, f"HTTP/{version} is not spoken here; HTTP/1.1 is."))
        if self.parser.should_upgrade():
            return
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._bounds.head_bytes:
            raise self._note(self._too_long())
        if len(self.pipeline) >= MOST_PIPELINED:
            why = f"More than {MOST_PIPELINED} requests of this connection wait for their answers"
            raise self._note(queue_full(why, 1.0))
        super().on_headers_complete()
        self._in_head, self._in_body, self._progressed = False, True, True
        self._unset_keepalive_if_required()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._progressed = True
        super().on_message_complete()

    def _drop_offer(self) -> None:
        """Start a new parser, and give it the head again without what makes the body another protocol's."""
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"".join([*head, b"\r\n"]))

    # --- one request after the other

    @property
    def _busy(self) -> bool:
        """Tell whether the client waits for us."""
        return bool(self.pipeline) or (self._running is not None and not self._running.response_complete)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        delivery: Any = Delivery(app, cycle, self._close)
        super()._start_asgi_task(cycle, delivery)

    def on_response_complete(self) -> None:
        """Begin the next request, or wait for it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._watch_flush()
        elif not self._busy:
            if self._refusal is not None:
                self._send_refusal(self._refusal)
            else:
                self._expect(_Owed.REQUEST, self._bounds.idle_seconds)  # instead of uvicorn's time
                self._expect_the_rest()

    # --- refusals

    def _note(self, error: ApiError) -> ApiError:
        """Remember why the parser is about to be stopped."""
        self._refusal = error
        return error

    def _too_long(self) -> ApiError:
        most = self._bounds.head_bytes
        return ApiError(431, Code.REQUEST_TOO_LARGE, f"The head of the request is longer than the {most} bytes that are taken.")

    def _refuse(self, error: ApiError) -> None:
        """Read nothing more, and say why: after the answers that are due, or as the answer to the body that is wrong."""
        self._refusal = error
        self._port.log.refused(self.client[0] if self.client else "?", error.message)
        if self._in_body and self.cycle is not None:
            if self.cycle.response_complete:
                self._close()
                return
            self.cycle.scope["state"]["refusal"] = error
            self.cycle.keep_alive = self.cycle.more_body = False
            self.cycle.message_event.set()
        elif not self._busy:
            self._send_refusal(error)

    def _send_refusal(self, error: ApiError) -> None:
        """Answer what never became a request."""
        if self._refused:
            return
        self._refused = True
        self._write_refusal(error)
        self.transport.write_eof()
        self._expect(_Owed.END, self._bounds.linger_seconds)

    def _write_refusal(self, error: ApiError) -> None:
        response, headers = self._app.refuse_unread(error)
        lines = [*self.server_state.default_headers, *response.all_headers(), *headers]
        head = b"".join([STATUS_LINE[error.status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n"])
        self.transport.write(head + response.body)

    def _make_room(self) -> bool:
        """End the connection that is waited for since longest; when all wait for us, turn this one away and return False."""
        longest = next(iter(self._port.owing), None)
        if longest is not None:
            longest._close()
            if longest.transport.get_write_buffer_size():
                longest.transport.abort()  # what it was given is not taken either
            return True
        self._refusal = queue_full(f"All {self._bounds.connections} connections of this port are in use", 1.0)
        self._port.log.refused(self.client[0] if self.client else "?", self._refusal.message)
        self._write_refusal(self._refusal)
        self._close()
        return False

    # --- time

    def _expect_the_rest(self) -> None:
        """Limit what has begun; more bytes of it don't begin the time again."""
        if self._in_head and self._owed is not _Owed.HEAD:
            self._expect(_Owed.HEAD, self._bounds.head_seconds)
        elif self._in_body and self._owed is not _Owed.REST:
            self._expect(_Owed.REST, self._bounds.rest_seconds)
        elif not self._in_head and not self._in_body and self._owed is not _Owed.REQUEST:
            self._expect(_Owed.REQUEST, self._bounds.idle_seconds)

    def _expect(self, owed: _Owed, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self._owed = owed
        self._port.owing[self] = None
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Refuse half a head; close what owes anything else."""
        self.timeout_keep_alive_task = None
        if self._owed is _Owed.HEAD:
            seconds = self._bounds.head_seconds
            message = f"The head of the request did not arrive within {seconds:g} s."
            self._refuse(ApiError(408, Code.REQUEST_TIMEOUT, message))
        else:
            self._close()

    def _unset_keepalive_if_required(self) -> None:
        self._port.owing.pop(self, None)
        super()._unset_keepalive_if_required()

    def _close(self) -> None:
        self._port.owing.pop(self, None)
        self.transport.close()
        self._watch_flush()

    def _watch_flush(self) -> None:
        """Give the connection up when the client takes nothing of what was written."""
        if self._flushing is None and (size := self.transport.get_write_buffer_size()):
            self._flushing = self.loop.call_later(self._bounds.stall_seconds, self._check_flush, size)

    def _check_flush(self, before: int) -> None:
        self._flushing = None
        if self.transport.get_write_buffer_size() < before:
            self._watch_flush()
        else:
            self.transport.abort()

    def _stop_flushing(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
