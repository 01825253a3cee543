"""File locks: the kernel drops them when their holder dies, so none is ever stale."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path


def try_lock(path: Path, seconds: float = 0.0) -> int | None:
    """Lock a file and return its descriptor, to be given to `unlock`; None when another process holds it for so long.

    A process that was killed while it started another one leaves its locks to that for a moment, until it runs its program.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return None
        time.sleep(0.05)


def unlock(path: Path, descriptor: int) -> None:
    """Delete the lock file and let it go."""
    path.unlink(missing_ok=True)
    os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock for the block, waiting for another process as long as that takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        unlock(path, descriptor)


def _lock(path: Path, how: int) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            # A former holder deletes the file before it lets go: a lock on a deleted file protects nothing.
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
