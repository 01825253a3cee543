"""Where rows lie: those of one forward pass beside each other, by as few exchanges as that takes. Pure."""

from collections.abc import Sequence
from itertools import groupby

# Sequences up to 256 tokens share a pass, those up to 1,024, up to 4,096 and so on: a pass looks at as many keys of each row as
# of its longest, so that one long row made seven short ones 3.5 times slower; every group costs another pass over the weights.
_FIRST_BITS, _BITS = 8, 2


def length_group(tokens: int) -> int:
    """Return which sequences one of this length goes through the model with."""
    return max(0, -(-(max(tokens - 1, 0).bit_length() - _FIRST_BITS) // _BITS))


def side_by_side(classes: Sequence[int], below: int) -> bool:
    """Tell whether the rows of each class below `below` lie beside each other already."""
    runs = [number for number, _ in groupby(classes) if number < below]
    return len(runs) == len(set(runs))


def exchanges(classes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the exchanges, in order, after which the classes ascend; a row changes places only where it must."""
    now, wanted = list(classes), sorted(classes)
    found = []
    for place, target in enumerate(wanted):
        if now[place] == target:
            continue
        # Of the rows that belong here, one that stands where this one belongs: then both are in place.
        misplaced = [other for other in range(place + 1, len(now)) if now[other] == target != wanted[other]]
        other = next((one for one in misplaced if wanted[one] == now[place]), misplaced[0])
        now[place], now[other] = now[other], now[place]
        found.append((place, other))
    return found
