"""Unsigned LEB128 integers of multiformats and protobuf: at most 63 bits, shortest form only."""

_MAX_BYTES = 9  # the multiformats limit; also enough for every protobuf field that we know


def encode_varint(value: int) -> bytes:
    """Encode a non-negative integer of at most 63 bits."""
    if value < 0 or value >> 63:
        raise ValueError(f"not an unsigned 63 bit integer: {value}")
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """Return (value, next offset); raise EOFError when `data` ends within, ValueError when too long or not in shortest form."""
    value = shift = 0
    for position in range(offset, offset + _MAX_BYTES):
        if position >= len(data):
            raise EOFError("varint cut short")
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise ValueError("varint not in its shortest form")
            return value, position + 1
        shift += 7
    raise ValueError(f"varint longer than {_MAX_BYTES} bytes")
