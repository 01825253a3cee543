"""How many copies a call wants: what its argument says, else its `deps`, else the environment."""

import os

from ..routing.replication import Replication, parse_replication, replication_of

Copies = int | str | tuple[int, int]  # 2, "2", "1..3" or (1, 3)


def replication_of_call(given: Copies | None, deps: object | None) -> Replication:
    """Return how many backends are to pin; raise UsageError for what says no such thing."""
    for each in (given, getattr(deps, "replication", None)):
        if each is not None:
            return parse_replication(each)
    return replication_of(os.environ)


def wanted_replication(given: Copies | None, deps: object | None, *, pin: bool) -> Replication | None:
    """Return the same of a call that may pin, None of one that does not: what is not pinned has one place."""
    wanted = replication_of_call(given, deps)
    return wanted if pin else None
