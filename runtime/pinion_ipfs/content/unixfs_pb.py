"""The UnixFS message inside a dag-pb node's data: only files with links and basic directories are ours."""

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
_TYPE, _DATA, _FILE_SIZE, _BLOCK_SIZE = 0x08, 0x12, 0x18, 0x20
_OUTSIDE = {0x28: "hashType", 0x30: "fanout", 0x38: "mode", 0x42: "mtime"}


@dataclass(frozen=True, slots=True)
class FileData:
    """What an interior node of a file says: the bytes below it, and below each of its links."""

    size: int
    block_sizes: tuple[int, ...]


def encode_file_data(block_sizes: Sequence[int]) -> bytes:
    """Encode the message of a file's interior node from the number of file bytes below each link."""
    out = bytearray((_TYPE, DataType.FILE, _FILE_SIZE))
    out += encode_varint(sum(block_sizes))
    for size in block_sizes:
        out.append(_BLOCK_SIZE)
        out += encode_varint(size)
    return bytes(out)


def decode_data(data: bytes | None) -> FileData | None:
    """Decode a message; return None for a basic directory. Raise UnsupportedDag, by name, for what the profile has not."""
    try:
        kind = _decode_type(data or b"")
        if kind in (DataType.SYMLINK, DataType.HAMT_SHARD, DataType.METADATA, DataType.RAW):
            raise UnsupportedDag(f"a UnixFS node of type {kind.name}: only basic directories and raw leaves are supported")
        if kind is DataType.DIRECTORY:
            if data != DIRECTORY_DATA:
                raise UnsupportedDag("a UnixFS directory with more than its type (mode, mtime or unknown fields)")
            return None
        return _decode_file(data or b"")
    except (ValueError, EOFError) as error:
        raise UnsupportedDag(f"not a canonical UnixFS message: {error}") from error


def _decode_type(data: bytes) -> DataType:
    if not data or data[0] != _TYPE:
        raise ValueError("it does not begin with a type")
    kind, _ = decode_varint(data, 1)
    return DataType(kind)


def _decode_file(data: bytes) -> FileData:
    position = 2  # behind the type, which took one byte of value
    sizes: list[int] = []
    total: int | None = None
    while position < len(data):
        key = data[position]
        if key == _DATA:
            raise UnsupportedDag("a UnixFS file with its bytes inside a dag-pb node: only raw leaves are supported")
        if key == _FILE_SIZE and total is None and not sizes:
            total, position = decode_varint(data, position + 1)
        elif key == _BLOCK_SIZE:
            size, position = decode_varint(data, position + 1)
            sizes.append(size)
        elif key in _OUTSIDE:
            raise UnsupportedDag(f"a UnixFS file with {_OUTSIDE[key]}: the profile has none")
        else:
            raise ValueError(f"unknown, repeated or misplaced field key 0x{key:x}")
    if total is None or total != sum(sizes):
        raise UnsupportedDag(f"a UnixFS file of {total} bytes whose blocks sum to {sum(sizes)}")
    return FileData(total, tuple(sizes))
