"""The UnixFS message inside a dag-pb node's data: files, basic and sharded directories; other kinds are refused by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from .errors import UnsupportedDag
from .varint import decode_varint, encode_varint


class DataType(IntEnum):
    """The kinds of UnixFS nodes."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


DIRECTORY_DATA = bytes((0x08, DataType.DIRECTORY))
HAMT_FANOUT = 256
MURMUR3_X64_64 = 0x22  # the multicodec of the one hash function that names in shards have
_MAX_BIT_FIELD = HAMT_FANOUT // 8  # bytes
_TYPE, _DATA, _FILE_SIZE, _BLOCK_SIZE, _HASH_TYPE, _FANOUT = 0x08, 0x12, 0x18, 0x20, 0x28, 0x30
_OUTSIDE = {_HASH_TYPE: "hashType", _FANOUT: "fanout", 0x38: "mode", 0x42: "mtime"}


@dataclass(frozen=True, slots=True)
class FileData:
    """What a node of a file says: the bytes of the file in itself and below, and below each link; its own come first."""

    size: int
    block_sizes: tuple[int, ...]
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class DirectoryData:
    """A basic directory: each link is an entry."""


@dataclass(frozen=True, slots=True)
class ShardData:
    """A node of a sharded directory (HAMT): bit n of `slots` says that there is a link for slot n."""

    slots: int


def encode_file_data(block_sizes: Sequence[int]) -> bytes:
    """Encode the message of a file's interior node from the number of file bytes below each link."""
    out = bytearray((_TYPE, DataType.FILE, _FILE_SIZE))
    out += encode_varint(sum(block_sizes))
    for size in block_sizes:
        out.append(_BLOCK_SIZE)
        out += encode_varint(size)
    return bytes(out)


def encode_shard_data(slots: int) -> bytes:
    """Encode the message of a shard from its bit field, which is written without leading zeros."""
    field = slots.to_bytes((slots.bit_length() + 7) // 8, "big")
    out = bytearray((_TYPE, DataType.HAMT_SHARD, _DATA))
    out += encode_varint(len(field)) + field
    out += bytes((_HASH_TYPE, MURMUR3_X64_64, _FANOUT)) + encode_varint(HAMT_FANOUT)
    return bytes(out)


def decode_data(data: bytes | None) -> FileData | DirectoryData | ShardData:
    """Decode a message; raise UnsupportedDag, by name, for kinds, fields and shards that are not read."""
    try:
        kind = _decode_type(data or b"")
        match kind:
            case DataType.SYMLINK | DataType.METADATA:
                raise UnsupportedDag(f"a UnixFS node of type {kind.name}: only files and directories are read")
            case DataType.DIRECTORY:
                if data != DIRECTORY_DATA:
                    raise UnsupportedDag("a UnixFS directory with more than its type (mode, mtime or unknown fields)")
                return DirectoryData()
            case DataType.HAMT_SHARD:
                return _decode_shard(data or b"")
            case _:
                return _decode_file(data or b"", kind)
    except (ValueError, EOFError) as error:
        raise UnsupportedDag(f"not a canonical UnixFS message: {error}") from error


def _decode_type(data: bytes) -> DataType:
    if not data or data[0] != _TYPE:
        raise ValueError("it does not begin with a type")
    kind, _ = decode_varint(data, 1)
    return DataType(kind)


def _decode_file(data: bytes, kind: DataType) -> FileData:
    position = 2  # behind the type, which took one byte of value
    sizes: list[int] = []
    total: int | None = None
    content: bytes | None = None
    while position < len(data):
        key = data[position]
        if key == _DATA and content is None and total is None and not sizes:
            content, position = _decode_bytes(data, position + 1)
        elif key == _FILE_SIZE and total is None and not sizes:
            total, position = decode_varint(data, position + 1)
        elif key == _BLOCK_SIZE:
            size, position = decode_varint(data, position + 1)
            sizes.append(size)
        elif key in _OUTSIDE:
            raise UnsupportedDag(f"a UnixFS file with {_OUTSIDE[key]}, which is not kept here")
        else:
            raise ValueError(f"unknown, repeated or misplaced field key 0x{key:x}")
    content = content or b""
    if total is None or total != len(content) + sum(sizes):
        raise UnsupportedDag(f"a UnixFS file of {total} bytes whose blocks sum to {len(content) + sum(sizes)}")
    if kind is DataType.RAW and sizes:
        raise UnsupportedDag("a UnixFS node of type RAW with blocks below it: that is a leaf")
    return FileData(total, tuple(sizes), content)


def _decode_shard(data: bytes) -> ShardData:
    position = 2
    field, function, fanout = b"", 0, 0
    if position < len(data) and data[position] == _DATA:
        field, position = _decode_bytes(data, position + 1)
    if position < len(data) and data[position] == _HASH_TYPE:
        function, position = decode_varint(data, position + 1)
    if position < len(data) and data[position] == _FANOUT:
        fanout, position = decode_varint(data, position + 1)
    if position != len(data):
        if (key := data[position]) in _OUTSIDE:
            raise UnsupportedDag(f"a HAMT shard with {_OUTSIDE[key]}, out of place or not kept here")
        raise ValueError(f"unknown, repeated or misplaced field key 0x{key:x}")
    if function != MURMUR3_X64_64:
        raise UnsupportedDag(f"a HAMT shard by hash 0x{function:x}: only murmur3-x64-64 (0x{MURMUR3_X64_64:x}) is read")
    if fanout != HAMT_FANOUT:
        raise UnsupportedDag(f"a HAMT shard of fanout {fanout}: only {HAMT_FANOUT} is read")
    if len(field) > _MAX_BIT_FIELD:
        raise UnsupportedDag(f"a HAMT shard whose bit field has {len(field)} bytes: {_MAX_BIT_FIELD} at most")
    return ShardData(int.from_bytes(field, "big"))


def _decode_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    length, start = decode_varint(data, position)
    if start + length > len(data):
        raise EOFError(f"a field of {length} bytes where {len(data) - start} are left")
    return data[start : start + length], start + length
