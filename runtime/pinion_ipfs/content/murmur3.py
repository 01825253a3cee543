"""The first half of MurmurHash3 x64-128 with seed 0: what multicodec calls murmur3-x64-64."""

_MASK = 2**64 - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
_BLOCK = 16  # bytes


def murmur3_x64_64(data: bytes) -> bytes:
    """Return the eight bytes of the hash, the most significant first (Austin Appleby, MurmurHash3.cpp)."""
    one = two = 0
    whole = len(data) - len(data) % _BLOCK
    for start in range(0, whole, _BLOCK):
        one ^= _mixed(int.from_bytes(data[start : start + 8], "little"), _C1, 31, _C2)
        one = (((_rotated(one, 27) + two) & _MASK) * 5 + 0x52DCE729) & _MASK
        two ^= _mixed(int.from_bytes(data[start + 8 : start + 16], "little"), _C2, 33, _C1)
        two = (((_rotated(two, 31) + one) & _MASK) * 5 + 0x38495AB5) & _MASK
    one ^= _mixed(int.from_bytes(data[whole : whole + 8], "little"), _C1, 31, _C2)
    two ^= _mixed(int.from_bytes(data[whole + 8 :], "little"), _C2, 33, _C1)
    one ^= len(data)
    two ^= len(data)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    return ((_finished(one) + _finished(two)) & _MASK).to_bytes(8, "big")


def _mixed(value: int, first: int, turn: int, second: int) -> int:
    return _rotated(value * first & _MASK, turn) * second & _MASK


def _rotated(value: int, turn: int) -> int:
    return (value << turn | value >> (64 - turn)) & _MASK


def _finished(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & _MASK
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ value >> 33
