"""dag-pb blocks: the exact bytes that Kubo writes, and a decoder that accepts nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

from .cid import Cid
from .errors import UnsupportedDag
from .varint import decode_varint, encode_varint

# Protobuf keys (field number << 3 | wire type) of PBNode and PBLink.
_NODE_DATA, _NODE_LINK = 0x0A, 0x12
_LINK_HASH, _LINK_NAME, _LINK_TSIZE = 0x0A, 0x12, 0x18


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a node; `tsize` is the cumulative size of the DAG behind it, as its writer claims."""

    cid: Cid
    name: str | None = ""
    tsize: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A dag-pb node: links in their order, and the data that UnixFS puts beside them."""

    links: tuple[Link, ...]
    data: bytes | None


def encode_node(links: Iterable[Link], data: bytes | None) -> bytes:
    """Encode a node: links first, then data, as the canonical form has it. The order of the links is the caller's."""
    out = bytearray()
    for link in links:
        body = _encode_link(link)
        out.append(_NODE_LINK)
        out += encode_varint(len(body))
        out += body
    if data is not None:
        out += _bytes_field(_NODE_DATA, data)
    return bytes(out)


def decode_node(block: bytes) -> Node:
    """Decode a block; raise UnsupportedDag for anything but the canonical form (unknown, repeated or misplaced fields)."""
    links: list[Link] = []
    data: bytes | None = None
    try:
        position = 0
        while position < len(block) and block[position] == _NODE_LINK:
            start, position = _span(block, position + 1)
            links.append(_decode_link(block[start:position]))
        if position < len(block) and block[position] == _NODE_DATA:
            start, position = _span(block, position + 1)
            data = block[start:position]
    except (ValueError, EOFError) as error:  # InvalidCid is a ValueError
        raise UnsupportedDag(f"not a canonical dag-pb block: {error}") from error
    if position != len(block):
        raise UnsupportedDag(f"not a canonical dag-pb block: unknown, repeated or misplaced field 0x{block[position]:x}")
    return Node(tuple(links), data)


def _encode_link(link: Link) -> bytes:
    body = bytearray(_bytes_field(_LINK_HASH, bytes(link.cid)))
    if link.name is not None:
        body += _bytes_field(_LINK_NAME, link.name.encode())
    if link.tsize is not None:
        body.append(_LINK_TSIZE)
        body += encode_varint(link.tsize)
    return bytes(body)


def _decode_link(body: bytes) -> Link:
    if not body or body[0] != _LINK_HASH:
        raise ValueError("a link that does not begin with its hash")
    start, position = _span(body, 1)
    cid = Cid.from_bytes(body[start:position])
    name: str | None = None
    tsize: int | None = None
    if position < len(body) and body[position] == _LINK_NAME:
        start, position = _span(body, position + 1)
        name = body[start:position].decode("utf-8")  # UnicodeDecodeError is a ValueError
    if position < len(body) and body[position] == _LINK_TSIZE:
        tsize, position = decode_varint(body, position + 1)
    if position != len(body):
        raise ValueError("an unknown, repeated or misplaced field in a link")
    return Link(cid, name, tsize)


def _span(data: bytes, position: int) -> tuple[int, int]:
    """Return (start, end) of the length-delimited bytes whose length stands at `position`."""
    length, start = decode_varint(data, position)
    if start + length > len(data):
        raise EOFError(f"a field of {length} bytes where {len(data) - start} are left")
    return start, start + length


def _bytes_field(key: int, value: bytes) -> bytes:
    return bytes((key,)) + encode_varint(len(value)) + value
