"""The header of a CARv1: the one dag-cbor map that we write, the few that we read, and what a CARv2 has before it."""

import re

from .cid import Cid
from .errors import InvalidCid, MalformedCar
from .varint import encode_varint

_VERSION_1 = b"\x67version\x01"
_ROOTS = b"\xa2\x65roots"  # a map of two, its first key in dag-cbor's order
_TAG = b"\xd8\x2a"  # 42, of CIDs
_BYTES, _LONG_BYTES = 0x40, 0x58  # byte strings of up to 23 bytes, and with a length byte
MAX_ROOTS = _MOST_SHORT = 23  # the most that CBOR counts within one byte
_ARRAY = 0x80
_MANY = (b"\x98", b"\x99")  # arrays whose length follows in one byte, or in two
_PRAGMA_2 = b"\xa1\x67version\x02"
_OTHER_VERSION = re.compile(rb"\x67version([^\x01])", re.DOTALL)
PRAGMA_BYTES, FIELDS_BYTES = 11, 40  # of a CARv2, the pragma's length included
MAX_PADDING = 1024 * 1024  # bytes between them and the data


def encode_header(root: Cid) -> bytes:
    """Encode the header of a CAR with one root, its length in front."""
    body = _ROOTS + bytes((_ARRAY | 1,)) + _tagged(root) + _VERSION_1
    return encode_varint(len(body)) + body


def is_version_2(body: bytes) -> bool:
    """Tell whether this is the pragma of a CARv2: a CARv1 follows somewhere behind it."""
    return body == _PRAGMA_2


def decode_window(fields: bytes) -> tuple[int, int]:
    """Return (offset, size) of the CARv1 in a CARv2 from the 40 bytes behind the pragma; raise MalformedCar."""
    offset, size = (int.from_bytes(fields[start : start + 8], "little") for start in (16, 24))
    least = PRAGMA_BYTES + FIELDS_BYTES
    if not least <= offset <= least + MAX_PADDING or not size:
        raise MalformedCar(f"a CAR of version 2 whose data begins at {offset} and has {size} bytes")
    return offset, size


def decode_header(body: bytes) -> tuple[Cid, ...]:
    """Return the roots; raise MalformedCar for anything but version 1 in canonical dag-cbor with few roots."""
    position = len(_ROOTS)
    if version := _OTHER_VERSION.search(body[:64]):
        raise MalformedCar(f"a CAR of version {version[1][0]}: 1 and 2 are read")
    if body[:position] == _ROOTS and body[position : position + 1] in _MANY:
        raise MalformedCar(f"a CAR of more than {MAX_ROOTS} roots")
    if body[:position] != _ROOTS or len(body) <= position or not 0 <= body[position] - _ARRAY <= MAX_ROOTS:
        raise MalformedCar("not a CAR: it does not begin with the header of version 1 or 2")
    count = body[position] - _ARRAY
    position += 1
    roots = []
    for _ in range(count):
        start, position = _byte_string(body, position)
        if body[start : start + 1] != b"\0":  # the identity multibase in front of a binary CID
            raise MalformedCar("the header of a CARv1 with a root that is no CID")
        try:
            roots.append(Cid.from_bytes(body[start + 1 : position]))
        except InvalidCid as error:
            raise MalformedCar(f"the header of a CARv1 with a root that is no CID: {error}") from error
    if body[position:] != _VERSION_1:
        raise MalformedCar("the header of a CARv1 does not end with its version")
    return tuple(roots)


def _tagged(cid: Cid) -> bytes:
    name = b"\0" + bytes(cid)
    length = bytes((_BYTES | len(name),)) if len(name) <= _MOST_SHORT else bytes((_LONG_BYTES, len(name)))
    return _TAG + length + name


def _byte_string(body: bytes, position: int) -> tuple[int, int]:
    """Return (start, end) of the tagged byte string at `position`, whose length is in its shortest form."""
    start = position + len(_TAG) + 1
    if body[position : start - 1] == _TAG and start < len(body):
        kind = body[start - 1]
        if _BYTES < kind <= _BYTES + _MOST_SHORT:
            return start, start + kind - _BYTES
        if kind == _LONG_BYTES and body[start] > _MOST_SHORT:
            return start + 1, start + 1 + body[start]
    raise MalformedCar("the header of a CARv1 with a root that is no CID")
