"""Bodies as clients encode them: compressed (`Content-Encoding`), or as other Unicode than UTF-8.

zlib and json of the standard library do it. Brotli and Zstandard would each take a library of its own, for bodies of a few
megabytes at most: they are refused by name.
"""

import asyncio
import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from email.message import Message

from .errors import ApiError, Code, invalid, shorten

TAKEN = ("gzip", "deflate")
_SAME = {"x-gzip": "gzip"}
_MOST_CODINGS = 3  # of one body; two are already strange
_MOST_MEMBERS = 1024  # of one gzip body: an empty one costs us more than its 20 bytes cost a caller
_SLICE = 1 << 14  # of encoded bytes at a time: what is behind the end of a member is copied
_STEP = 1 << 16  # of decoded bytes at a time
_PART = 1 << 20  # of decoded bytes that a thread brings at a time; a small body is decoded where we are
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_UNICODE = re.compile(r"utf-(8|8-sig|16|16-[bl]e|32|32-[bl]e)")
_ASCII_BASED = re.compile(r"ascii|iso8859-\d+|cp125\d|koi8-[ru]")  # where bytes below 128 are ASCII, whatever surrounds them


def content_codings(header: str) -> tuple[str, ...]:
    """Return the codings of a Content-Encoding header in the order of decoding; raise the 415 for one that is not taken."""
    names = [name.strip().lower() for name in header.split(",")]
    codings = [_SAME.get(name, name) for name in names if name not in ("", "identity")]
    unknown = next((name for name in codings if name not in TAKEN), None)
    if unknown is None and len(codings) <= _MOST_CODINGS:
        return tuple(reversed(codings))
    what = f"{shorten(unknown)!r}" if unknown is not None else f"more than {_MOST_CODINGS} codings"
    message = f"The header 'Content-Encoding' names {what}, which is not taken. Send 'gzip' or 'deflate', or the body as it is."
    accepted = ((b"accept-encoding", ", ".join(TAKEN).encode()),)
    raise ApiError(415, Code.UNSUPPORTED_MEDIA_TYPE, message, more=accepted)


async def decode(body: bytes, codings: Sequence[str], most: int, hold: Callable[[int], None]) -> bytes:
    """Undo the codings; raise the 413 as soon as a stage has given more than `most` bytes, and a 400 for what is damaged.

    `hold` is called with the size of each piece.
    """
    if not codings:
        return body
    pieces: Iterator[bytes] = (body[at : at + _SLICE] for at in range(0, len(body), _SLICE))
    for coding in codings:
        pieces = _bounded(_inflate(pieces, coding), most)
    small = len(codings) == 1 and len(body) <= _SLICE
    part, more = _part(pieces, _STEP) if small else await asyncio.to_thread(_part, pieces, _PART)
    decoded = [part]
    hold(len(part))
    while more:
        part, more = await asyncio.to_thread(_part, pieces, _PART)
        hold(len(part))
        decoded.append(part)
    return b"".join(decoded)


def _part(pieces: Iterator[bytes], size: int) -> tuple[bytes, bool]:
    """Return the next bytes, at least `size` of them while there are so many, and whether there may be more."""
    taken: list[bytes] = []
    for piece in pieces:
        taken.append(piece)
        size -= len(piece)
        if size <= 0:
            return b"".join(taken), True
    return b"".join(taken), False


def _bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise ApiError(413, Code.REQUEST_TOO_LARGE, f"The decoded body is larger than the {most} bytes that are taken.")
        yield piece


def _inflate(pieces: Iterator[bytes], coding: str) -> Iterator[bytes]:
    """Decompress; a step is never larger than _STEP, and what comes out empty is not given."""
    inflater: zlib._Decompress | None = None
    members = 0
    try:
        for piece in pieces:
            left = piece
            while left:
                if inflater is None or inflater.eof:
                    members += 1
                    inflater = _next_inflater(left, coding, members)
                out = inflater.decompress(left, _STEP)
                left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
                while out:
                    yield out
                    # With the last input taken there may be output that found no room.
                    out = inflater.decompress(b"", _STEP) if not left and len(out) == _STEP else b""
    except zlib.error as error:
        raise _damaged(coding, str(error)) from None
    if inflater is None or not inflater.eof:
        raise _damaged(coding, "it ends too early")


def _next_inflater(left: bytes, coding: str, members: int) -> "zlib._Decompress":
    if coding == "gzip":
        if members > _MOST_MEMBERS:
            raise _damaged(coding, f"more than {_MOST_MEMBERS} members")
        return zlib.decompressobj(_GZIP)
    if members > 1:
        raise _damaged(coding, "bytes after its end")
    # The standard means the form with a header; clients send the other one too.
    headed = left[0] & 0x0F == zlib.DEFLATED and (len(left) == 1 or (left[0] << 8 | left[1]) % 31 == 0)
    return zlib.decompressobj(_ZLIB if headed else _RAW)


def _damaged(coding: str, why: str) -> ApiError:
    return invalid(f"The body is not valid {coding}, which the header 'Content-Encoding' names: {shorten(why)}.")


async def to_utf8(body: bytes, content_type: str) -> bytes:
    """Return JSON in UTF-8, without a byte order mark.

    Its first bytes tell in which Unicode it is, as RFC 4627 had it; raise the 415 for a charset that is no Unicode,
    unless the bytes mean the same in both, and a 400 for what is damaged.
    """
    charset = _charset(content_type)
    if charset and not _UNICODE.fullmatch(charset) and not (_ASCII_BASED.fullmatch(charset) and body.isascii()):
        message = (
            f"The header 'Content-Type' names the charset {shorten(charset)!r}; JSON is taken in UTF-8, UTF-16 and UTF-32."
        )
        raise ApiError(415, Code.UNSUPPORTED_MEDIA_TYPE, message)
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        return body
    if encoding == "utf-8-sig":
        return body[len(codecs.BOM_UTF8) :]
    try:
        return await asyncio.to_thread(lambda: body.decode(encoding).encode())
    except UnicodeDecodeError as error:
        raise invalid(f"The body is not valid {encoding.upper()}: {error.reason}.", code=Code.INVALID_JSON) from None


def _charset(content_type: str) -> str:
    """Return Python's name of the charset, the given one where Python knows none, "" where none is given."""
    if "charset" not in content_type.lower():
        return ""
    message = Message()
    message["content-type"] = content_type
    given = message.get_param("charset", "")
    name = given if isinstance(given, str) else given[2]
    try:
        return codecs.lookup(name.strip()).name if name.strip() else ""
    except LookupError:
        return name
