"""Token ids as they travel: little-endian int32."""

import sys
from array import array
from collections.abc import Iterable

_SWAP = sys.byteorder != "little"
TOKEN_BYTES = 4


def int32_bytes(numbers: Iterable[int]) -> bytes:
    """Return the numbers as little-endian int32; raises OverflowError past 32 bits."""
    packed = array("i", numbers)
    if _SWAP:
        packed.byteswap()
    return packed.tobytes()
