"""Ports for programs that have to be told one before they listen."""

import errno
import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator

# Below those that Linux gives to who asks for any (32768 on), of which another program might get it in the meantime, and above
# those of the tests' control planes.
_FIRST, _BLOCK, _BLOCKS = 28_100, 200, 23


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on: no other process of tests returns it, and this one not again soon."""
    first = _own_block()
    for offset in itertools.islice(_offsets(), _BLOCK):
        port = first + offset
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all ports from {first} to {first + _BLOCK - 1} are taken")


@functools.cache
def _own_block() -> int:
    """Return the first port of a block that is this process's until it ends, by a socket whose name leaves no file."""
    blocks = list(range(_BLOCKS))
    random.Random(os.getpid()).shuffle(blocks)
    for block in blocks:
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0pinion-test-ports-{block}")
        except OSError as error:
            holder.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        holder.detach()  # the process has it, and nothing closes it before
        return _FIRST + block * _BLOCK
    raise AssertionError(f"{_BLOCKS} processes of tests have all ports from {_FIRST} to {_FIRST + _BLOCKS * _BLOCK - 1}")


@functools.cache
def _offsets() -> Iterator[int]:
    return itertools.cycle(range(_BLOCK))
