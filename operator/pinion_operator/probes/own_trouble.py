"""Errors that tell of this process and its machine alone: never a verdict on a pod, a backend or a hub."""

import errno
import socket
from collections.abc import Iterator

_OURS = frozenset(
    {
        errno.EMFILE,  # this process has no descriptor left
        errno.ENFILE,  # the machine has none
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,  # no local port is left for a connection
    }
)
_RESOLVER = frozenset({socket.EAI_MEMORY, socket.EAI_SYSTEM})
_DEEPEST = 50  # errors in one chain


class OwnTrouble(Exception):
    """Nothing could be asked, for a reason of our own: what was known stands, and the pass is made again."""

    def __init__(self, what: str, error: BaseException | None) -> None:
        why = str(error).strip() or type(error).__name__
        super().__init__(f"{what} could not be asked, for a reason of the operator's own: {why[:500]}")


def is_our_own(error: BaseException | None, *, resolver: bool = False) -> bool:
    """Return whether an error, or what it comes from, is of our own making.

    With `resolver`, for names of this cluster alone: also a name server that does not answer.
    """
    return any(_is(one, resolver) for one in _chain(error))


def _is(error: BaseException, resolver: bool) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno in _RESOLVER or (resolver and error.errno == socket.EAI_AGAIN)
    if isinstance(error, OSError):
        return error.errno in _OURS
    # Python has a word of its own for a thread that the machine does not give.
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it: causes, the members of a group, what a client keeps beside its own error."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _DEEPEST:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(inner := getattr(one, "os_error", None), BaseException):
            waiting.append(inner)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
