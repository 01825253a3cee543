"""File locks in the child: the hub's library goes on without them where a filesystem says ENOSYS, and for no other answer.

Network and FUSE filesystems give others. The library's locks only keep two processes from downloading the same file at once:
each download has a name of its own, and a rename publishes it.
"""

import errno
import fcntl
from typing import Any

_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOTSUP, errno.EBADMSG, errno.EIO, errno.EINVAL, errno.ENOSYS, errno.EPERM))


def do_without_locks() -> None:
    """From now on take a lock for granted where the filesystem has none. For a process of our own alone."""
    lock = fcntl.flock

    def flock(fd: Any, operation: int, /) -> None:
        try:
            lock(fd, operation)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise

    fcntl.flock = flock
