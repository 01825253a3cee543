"""Ports for programs that have to be told one before they listen."""

import itertools
import os
import random
import socket

# Below those that Linux gives to who asks for any (32768 on), of which another program might get it in the meantime, and above
# those of the tests' control planes.
_FIRST, _COUNT = 28_100, 4_600
_offsets = itertools.count(random.Random(os.getpid()).randrange(_COUNT))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that this process has not returned for long."""
    for offset in itertools.islice(_offsets, _COUNT):
        port = _FIRST + offset % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all ports from {_FIRST} to {_FIRST + _COUNT - 1} are taken")
