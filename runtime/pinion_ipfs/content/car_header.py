"""The header of a CARv1: the one dag-cbor map that we write, and the few that we read."""

from .cid import Cid
from .errors import InvalidCid, MalformedCar
from .varint import encode_varint

_VERSION_1 = b"\x67version\x01"
_ROOTS = b"\xa2\x65roots"  # a map of two, its first key in dag-cbor's order
_TAGGED_CID = b"\xd8\x2a\x58"  # tag 42, a byte string with one length byte
_MAX_ROOTS = 23  # the most that CBOR counts within one byte
_ARRAY = 0x80


def encode_header(root: Cid) -> bytes:
    """Encode the header of a CAR with one root, its length in front."""
    body = _ROOTS + bytes((_ARRAY | 1,)) + _tagged(root) + _VERSION_1
    return encode_varint(len(body)) + body


def decode_header(body: bytes) -> tuple[Cid, ...]:
    """Return the roots; raise MalformedCar for anything but version 1 in canonical dag-cbor with few roots."""
    if body[:1] == b"\xa1" and b"version\x02" in body:
        raise MalformedCar("a CAR of version 2: only version 1 is read")
    position = len(_ROOTS)
    if body[:position] != _ROOTS or len(body) <= position or not 0 <= body[position] - _ARRAY <= _MAX_ROOTS:
        raise MalformedCar("not the header of a CARv1")
    count = body[position] - _ARRAY
    position += 1
    roots = []
    for _ in range(count):
        start = position + len(_TAGGED_CID) + 1
        if body[position : start - 1] != _TAGGED_CID or start > len(body):
            raise MalformedCar("the header of a CARv1 with a root that is no CID")
        position = start + body[start - 1]
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
    name = bytes(cid)
    return _TAGGED_CID + bytes((len(name) + 1, 0)) + name
