"""How many descriptors this process may have open, and how many of them the connections of a port may take."""

import resource

_ENOUGH = 16_384  # the limit is raised no further
_OTHERS = 256  # files, pipes, the hub's and backends' connections, those of engines
_MOST, _FEWEST = 4096, 16  # connections of a port at once
_PORTS = 2


def take_descriptors() -> int:
    """Raise the soft limit as far as the hard one lets us, and return how many connections each port may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _finite(soft)
    if (wanted := min(_ENOUGH, _finite(hard))) > limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        limit = wanted
    return share(limit)


def share(limit: int) -> int:
    """Return how many connections each port may have of this many descriptors."""
    return max(_FEWEST, min(_MOST, (limit - _OTHERS) // _PORTS))


def _finite(limit: int) -> int:
    return _ENOUGH if limit == resource.RLIM_INFINITY else limit
