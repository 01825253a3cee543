"""Writing so that readers see a file whole or not at all."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def partial_name(target: Path) -> Path:
    """Return a name beside `target` that no other writer uses."""
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, each with the permissions of the one it lies in.

    A shared volume gives its group the right to write: a umask must not take that from the next user's processes.
    """
    if folder.is_dir():
        return
    make_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        with suppress(OSError):  # a filesystem without permissions, or of others
            folder.chmod(folder.parent.stat().st_mode & 0o7777 | 0o700)


def write_atomically(target: Path, data: bytes, *, durable: bool = True) -> None:
    """Write to a name of our own, then rename; folders are made. What is checked whenever it is read need not be durable."""
    make_folders(target.parent)
    partial = partial_name(target)
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def link_atomically(target: Path, source: Path) -> None:
    """Make `target` a relative symlink to `source`, in place of what was there."""
    make_folders(target.parent)
    relative = os.path.relpath(source, target.parent)
    if target.is_symlink() and str(target.readlink()) == relative:
        return
    partial = partial_name(target)
    try:
        partial.symlink_to(relative)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def sweeping(folder: Path, lock: Path, patterns: tuple[str, ...]) -> Iterator[None]:
    """Use a folder together with other processes; whoever is alone in it first deletes what killed ones left unfinished.

    The lock only saves space: where the filesystem has none, nothing is deleted and all else goes on.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:  # another user's, or a volume without room or rights: work on, and delete nothing
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for pattern in patterns:
                for path in folder.rglob(pattern):
                    path.unlink(missing_ok=True)
        except OSError:
            pass  # somebody else is at work there, or the filesystem has no locks
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
