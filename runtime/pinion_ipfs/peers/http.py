"""As much of HTTP/1.1 as a server of immutable content needs: GET and HEAD without bodies, one range, strict and bounded."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

MAX_HEAD = 16 * 1024  # bytes of a request's line and headers
_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,2000}) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)
_MAX_HEADERS = 64


class BadRequest(Exception):
    """What arrived is no request of ours; the connection ends after the answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # by lower-case name
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer."""

    status: int
    length: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, *, keep_alive: bool) -> bytes:
        """Return its bytes."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", f"Content-Length: {self.length}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def read_request(reader: asyncio.StreamReader, first_byte: bytes) -> Request:
    """Return the request that begins with a byte that was read already; raise BadRequest. The reader's limit is MAX_HEAD."""
    try:
        head = first_byte + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise BadRequest("the request ends within its head") from None
    except asyncio.LimitOverrunError:
        raise BadRequest(f"a head of more than {MAX_HEAD} bytes") from None
    first, *lines = head[:-4].split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise BadRequest("not the first line of a request")
    if len(lines) > _MAX_HEADERS:
        raise BadRequest(f"more than {_MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for each in lines:
        header = _HEADER.fullmatch(each)
        if header is None:
            raise BadRequest("a malformed header")
        name = header[1].decode().lower()
        if name in headers and name in ("authorization", "content-length", "host", "range"):
            raise BadRequest(f"{name} comes twice")
        headers[name] = header[2].decode("latin-1").strip()
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise BadRequest("a body, where none is taken")
    target, _, query = line[2].decode().partition("?")
    connection = headers.get("connection", "").lower()
    keep_alive = "keep-alive" in connection if line[3] == b"0" else "close" not in connection
    try:
        pairs = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=16))
    except ValueError:
        raise BadRequest("too many parameters") from None
    return Request(line[1].decode(), unquote(target), pairs, headers, keep_alive)


def read_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return (first, count) of a Range header, the whole without one; None when it can't be satisfied.

    Several ranges are answered with the whole, as the standard allows.
    """
    asked = _RANGE.fullmatch(header) if header is not None else None
    if asked is None:
        return 0, size
    if asked[3] is not None:
        count = min(int(asked[3]), size)
        return (size - count, count) if count else None
    first, last = int(asked[1]), int(asked[2]) if asked[2] else size - 1
    if first >= size or last < first:
        return None
    return first, min(last, size - 1) - first + 1
