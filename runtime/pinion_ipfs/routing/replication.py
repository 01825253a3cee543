"""How many backends are to keep a copy. Pure: arguments and variables in, two numbers out."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from ..program.arguments import UsageError

VARIABLE = "IPFS_REPLICATION"
MOST = 16  # backends
_SPELLED = re.compile(r"([0-9]{1,3})(?:\.\.([0-9]{1,3}))?")


class Replication(NamedTuple):
    """At least so many backends, or it is an error; at most so many are asked to."""

    least: int
    most: int


ONE = Replication(1, 1)


def parse_replication(given: object, name: str = "replication") -> Replication:
    """Return what an argument says: 2, "2", "1..3" or (1, 3); raise UsageError for anything else."""
    least, most = _numbers(given)
    if not 1 <= least <= most <= MOST:
        shown = repr(given)[:80]
        raise UsageError(f"{name}: a number of backends from 1 to {MOST}, or two as in '1..3' or (1, 3), not {shown}")
    return Replication(least, most)


def replication_of(environment: Mapping[str, str]) -> Replication:
    """Return what the environment says; one copy where it says nothing."""
    text = environment.get(VARIABLE, "").strip()
    return parse_replication(text, VARIABLE) if text else ONE


def _numbers(given: object) -> tuple[int, int]:
    if isinstance(given, str) and (match := _SPELLED.fullmatch(given.strip())):
        return int(match[1]), int(match[2] or match[1])
    if isinstance(given, int) and not isinstance(given, bool):
        return given, given
    if isinstance(given, tuple | list) and len(given) == 2 and all(type(each) is int for each in given):
        return given[0], given[1]
    return 0, 0
