"""The content server's HTTP: what it takes, what it refuses, and that no bytes at all do it harm."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinion_ipfs.peers.http import MAX_HEAD, BadRequest, Request, read_range, read_request


def parse(data: bytes) -> Request:
    async def run() -> Request:
        reader = asyncio.StreamReader(limit=MAX_HEAD)
        reader.feed_data(data[1:])
        reader.feed_eof()
        return await read_request(reader, data[:1])

    return asyncio.run(run())


def test_a_request() -> None:
    request = parse(
        b"GET /ipfs/bafy?format=raw&x= HTTP/1.1\r\nHost: a:1\r\nAuthorization:Bearer t \r\nRange: bytes=1-2\r\n\r\n"
    )
    assert (request.method, request.path, request.keep_alive) == ("GET", "/ipfs/bafy", True)
    assert request.query == {"format": "raw", "x": ""}
    assert request.headers == {"host": "a:1", "authorization": "Bearer t", "range": "bytes=1-2"}


@pytest.mark.parametrize(
    ("line", "headers", "kept"),
    [
        (b"HEAD /x HTTP/1.1", b"", True),
        (b"HEAD /x HTTP/1.1", b"Connection: close\r\n", False),
        (b"HEAD /x HTTP/1.0", b"", False),
        (b"HEAD /x HTTP/1.0", b"Connection: Keep-Alive\r\n", True),
        (b"GET /x HTTP/1.1", b"Content-Length: 0\r\n", True),
    ],
)
def test_how_long_a_connection_lasts(line: bytes, headers: bytes, kept: bool) -> None:
    assert parse(line + b"\r\n" + headers + b"\r\n").keep_alive is kept


@pytest.mark.parametrize(
    "data",
    [
        b"GET /x\r\n\r\n",
        b"GET http://host/x HTTP/1.1\r\n\r\n",
        b"get /x HTTP/1.1\r\n\r\n",
        b"GET /x y HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/2.0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /x HTTP/1.1\r\n folded: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\na : b\r\n\r\n",
        b"GET /x HTTP/1.1\r\na: \x00\r\n\r\n",
        b"GET /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
        b"GET /x HTTP/1.1\r\n" + b"a: b\r\n" * 65 + b"\r\n",
        b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n",
        b"GET /x?" + b"a=b&" * 20 + b" HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\na: " + b"b" * MAX_HEAD + b"\r\n\r\n",
        b"GET /x HTTP/1.1\r\n",
    ],
)
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(data)


@given(
    st.binary(min_size=1, max_size=400) | st.binary(max_size=200).map(lambda tail: b"GET /x HTTP/1.1\r\n" + tail + b"\r\n\r\n")
)
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    try:
        request = parse(data)
    except BadRequest:
        return
    assert request.path.startswith("/")


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        (None, 10, (0, 10)),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=3-5", 10, (3, 3)),
        ("bytes=3-50", 10, (3, 7)),
        ("bytes=9-9", 10, (9, 1)),
        ("bytes=10-", 10, None),
        ("bytes=5-4", 10, None),
        ("bytes=-3", 10, (7, 3)),
        ("bytes=-30", 10, (0, 10)),
        ("bytes=-0", 10, None),
        ("bytes=0-", 0, None),
        ("bytes=1-2,4-5", 10, (0, 10)),
        ("lines=1-2", 10, (0, 10)),
        ("bytes=-", 10, (0, 10)),
        (f"bytes={'9' * 30}-", 10, (0, 10)),
        ("bytes=٣-", 10, (0, 10)),
    ],
)
def test_ranges(header: str | None, size: int, span: tuple[int, int] | None) -> None:
    assert read_range(header, size) == span
