"""Bodies as clients encode them: decoded within the limit of bodies, or refused with the name of the header."""

import codecs
import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from pinion_contract.config import Limits
from pinion_runtime.server.admission import Admission
from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.http import Message, Request

LIMIT = 1_000_000
TEXT = json.dumps({"input": "Kessel, kettle, чайник, やかん, 🫖"}, ensure_ascii=False)
BODY = TEXT.encode()
LARGE = json.dumps({"input": [f"{number:x}" for number in range(20_000)]}).encode()


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def stored(data: bytes) -> bytes:
    return gzip.compress(data, 0)


async def read(body: bytes, *headers: tuple[str, str], admission: Admission | None = None) -> bytes:
    """Send the body in two pieces; what is held must be given back."""
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    given = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    admission = admission or Admission(lambda: Limits(max_body_bytes=LIMIT))
    try:
        return await admission.read_body(Request({"method": "POST", "path": "/", "headers": given}, receive))
    finally:
        assert admission._body_bytes == 0


async def refused(status: int, body: bytes, *headers: tuple[str, str]) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await read(body, *headers)
    assert raised.value.status == status, raised.value.message
    return raised.value


def encoding(*values: str) -> list[tuple[str, str]]:
    return [("Content-Encoding", value) for value in values]


@pytest.mark.parametrize("plain", [BODY, LARGE, b"", b"x"], ids=["small", "large", "empty", "one byte"])
@pytest.mark.parametrize(
    ("headers", "encode"),
    [
        ([], bytes),
        (encoding("identity"), bytes),
        (encoding(""), bytes),
        (encoding("gzip"), gzip.compress),
        (encoding("GZIP"), gzip.compress),
        (encoding("x-gzip"), gzip.compress),
        (encoding(" gzip , "), gzip.compress),
        (encoding("identity, gzip"), gzip.compress),
        (encoding("gzip"), stored),
        (encoding("gzip"), lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
        (encoding("deflate"), zlib.compress),
        (encoding("deflate"), raw_deflate),
        (encoding("gzip, deflate"), lambda data: zlib.compress(gzip.compress(data))),
        (encoding("deflate", "gzip"), lambda data: gzip.compress(zlib.compress(data))),
        (encoding("gzip, gzip, gzip"), lambda data: gzip.compress(gzip.compress(gzip.compress(data)))),
    ],
)
async def test_what_is_decoded(headers: list[tuple[str, str]], encode: Callable[[bytes], bytes], plain: bytes) -> None:
    assert await read(encode(plain), *headers) == plain


@pytest.mark.parametrize("name", ["br", "zstd", "compress", "x-compress", "aes128gcm", "dcb", "exi", "gzip;q=1", "gzip2", "é"])
async def test_what_is_not_taken_names_the_header_and_what_is(name: str) -> None:
    for header in (name, name.upper(), f"gzip, {name}", f"{name}, gzip"):
        error = await refused(415, BODY, ("Content-Encoding", header))
        assert error.code.value == "unsupported_media_type"
        assert "'Content-Encoding'" in error.message
        assert name.lower() in error.message
        assert (b"accept-encoding", b"gzip, deflate") in error.headers()


async def test_more_codings_than_anybody_means() -> None:
    assert "3" in (await refused(415, BODY, *encoding("gzip, gzip, gzip, gzip"))).message


ZEROS = b"0" * (LIMIT + 1)
BOMB = gzip.compress(b"0" * 20_000_000, 1)


@pytest.mark.parametrize(
    ("names", "body"),
    [
        ("gzip", gzip.compress(ZEROS)),
        ("deflate", zlib.compress(ZEROS)),
        ("deflate", raw_deflate(ZEROS)),
        ("gzip", gzip.compress(b"0" * 600_000) * 2),
        ("gzip, gzip", gzip.compress(BOMB)),
        ("gzip, gzip, gzip", gzip.compress(gzip.compress(BOMB))),
        ("gzip", BOMB[: len(BOMB) // 2]),
    ],
    ids=["gzip", "deflate", "raw deflate", "in two members", "twice", "three times", "a part of a bomb"],
)
async def test_the_limit_is_that_of_the_decoded_size(names: str, body: bytes) -> None:
    error = await refused(413, body, *encoding(names))
    assert (error.code.value, str(LIMIT) in error.message) == ("request_too_large", True)


async def test_a_stage_between_is_limited_too() -> None:
    # It would come out as nothing: only empty blocks, compressed once more.
    await refused(413, gzip.compress(b"\x00\x00\x00\xff\xff" * LIMIT), *encoding("deflate, gzip"))


async def test_just_as_much_as_is_taken() -> None:
    assert len(await read(gzip.compress(b"0" * LIMIT), *encoding("gzip"))) == LIMIT


async def test_what_is_decoded_counts_among_the_bodies_held() -> None:
    admission = Admission(lambda: Limits(max_body_bytes=LIMIT))
    with admission._holding(LIMIT) as hold:
        hold(16 * LIMIT - 1000)
        with pytest.raises(ApiError) as raised:
            await read_beside(admission)
    assert raised.value.status == 429


async def read_beside(admission: Admission) -> None:
    body = gzip.compress(b"0" * 100_000)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-encoding", b"gzip")]
    await admission.read_body(Request({"method": "POST", "path": "/", "headers": headers}, receive))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gzip", b""),
        ("gzip", BODY),
        ("gzip", gzip.compress(LARGE)[:-1]),
        ("gzip", gzip.compress(BODY)[:-8] + b"\0" * 8),
        ("gzip", gzip.compress(BODY) + b"more"),
        ("gzip", gzip.compress(b"") * 1025),
        ("gzip", zlib.compress(BODY)),
        ("deflate", b""),
        ("deflate", zlib.compress(BODY)[:-1]),
        ("deflate", zlib.compress(BODY) + b"more"),
        ("deflate", gzip.compress(BODY)),
        ("deflate, gzip", gzip.compress(BODY)),
    ],
    ids=[
        *("gzip of nothing", "no gzip", "a gzip cut short", "a gzip with another sum", "a gzip and more", "1025 members"),
        *("zlib for gzip", "deflate of nothing", "deflate cut short", "deflate and more", "gzip for deflate", "one for two"),
    ],
)
async def test_what_is_damaged_or_is_none(name: str, body: bytes) -> None:
    error = await refused(400, body, *encoding(name))
    assert "'Content-Encoding'" in error.message


@pytest.mark.parametrize("value", ["gzip, chunked", "gzip", "deflate, chunked", "identity, chunked", "x"])
async def test_transfer_codings_are_not_for_compression(value: str) -> None:
    assert "'Transfer-Encoding'" in (await refused(501, BODY, ("Transfer-Encoding", value))).message
    assert await read(BODY, ("Transfer-Encoding", "Chunked")) == BODY


UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("name", UNICODE)
@pytest.mark.parametrize("told", [True, False], ids=["with a charset", "without"])
async def test_every_unicode(name: str, told: bool) -> None:
    headers = [("Content-Type", f"application/json; charset={name.removesuffix('-sig')}")] if told else []
    assert await read(TEXT.encode(name), *headers) == BODY
    assert await read(gzip.compress(TEXT.encode(name)), *headers, *encoding("gzip")) == BODY


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE])
async def test_unicode_that_is_damaged(mark: bytes) -> None:
    lone = "\ud800 ".encode(json.detect_encoding(mark + b"{\0"), "surrogatepass")
    for body in (mark + b"{", lone):
        error = await refused(400, body)
        assert "UTF-" in error.message
        assert error.code.value == "invalid_json"


@pytest.mark.parametrize(
    "header",
    [
        *("application/json; charset=utf-8", "application/json;charset=UTF8", 'application/json; charset="UTF-8"'),
        *("application/json; charset=", "application/json; charset", "text/plain; x=1; Charset=utf-8", "charset"),
        *(
            "",
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "nonsense;;;=",
            "application/json; charset=utf-16",
        ),
    ],
)
async def test_content_types_that_say_nothing_else(header: str) -> None:
    assert await read(BODY, ("Content-Type", header)) == BODY


@pytest.mark.parametrize("name", ["iso-8859-1", "latin1", "ISO-8859-15", "windows-1252", "us-ascii", "koi8-r"])
async def test_a_charset_of_bytes_is_taken_where_it_means_the_same(name: str) -> None:
    header = ("Content-Type", f"application/json; charset={name}")
    assert await read(b'{"input": "kettle"}', header) == b'{"input": "kettle"}'
    assert "'Content-Type'" in (await refused(415, b'{"input": "caf\xe9"}', header)).message
    assert "'Content-Type'" in (await refused(415, '{"input": "café"}'.encode(), header)).message


@pytest.mark.parametrize("name", ["utf-7", "shift_jis", "gb18030", "cp037", "iso-2022-jp", "hz", "rot13", "zlib", "none", "é"])
async def test_a_charset_that_is_not_taken(name: str) -> None:
    error = await refused(415, b'{"input": "kettle"}', ("Content-Type", f"application/json; charset={name}"))
    assert (error.code.value, "'Content-Type'" in error.message) == ("unsupported_media_type", True)
