"""Writing so that readers see a file whole or not at all."""

import errno
import fcntl
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_log = logging.getLogger(__name__)
_GROUPS = stat.S_ISGID | stat.S_IWGRP
_LARGEST_RECORD = 64 * 1024 * 1024  # the sidecar of a file of 2 TiB


_PARTIAL = re.compile(r"\.\d+-[0-9a-f]{16}\.partial")


def is_partial(name: str) -> bool:
    """Tell whether a file's name is one that `partial_name` gives: somebody is about to rename it, or was killed."""
    return _PARTIAL.fullmatch(name) is not None


def partial_name(target: Path) -> Path:
    """Return a name beside `target` that no other writer uses: a short one, since that of `target` may be as long as can be."""
    return target.with_name(f".{os.getpid()}-{secrets.token_hex(8)}.partial")


def closing_umask(folder: Path) -> int:
    """Return the bits that a umask must have for what other programs make in a folder to be as `make_folders` has it."""
    return 0o002 if folder.stat().st_mode & _GROUPS == _GROUPS else 0o022


def make_folders(folder: Path) -> None:
    """Make a folder and those above it; others may not write there, and the group only where it may in the one above.

    A shared volume gives its group the right to write: a umask must not take that from the next user's processes.
    """
    if folder.is_dir():
        return
    make_folders(folder.parent)
    above = folder.parent.stat().st_mode
    with suppress(FileExistsError):
        if above & _GROUPS == _GROUPS:
            folder.mkdir(0o700)
            with suppress(OSError):  # a filesystem without permissions, or of others
                folder.chmod(above & 0o2775 | 0o700)
        else:
            folder.mkdir(above & 0o055 | 0o700)


def write_atomically(target: Path, data: bytes, *, durable: bool = True) -> None:
    """Write to a name of our own, then rename; folders are made. What is checked whenever it is read need not be durable."""
    make_folders(target.parent)
    partial = partial_name(target)
    try:
        # Others may not write it, whatever the umask; the group where the folder is its.
        mode = 0o664 if target.parent.stat().st_mode & _GROUPS == _GROUPS else 0o644
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                _sync(descriptor)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _sync(descriptor: int) -> None:
    """Have a file written to its disk, where the filesystem has that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def read_record(path: Path) -> bytes:
    """Return the bytes of one of our small files; raise OSError for a link, a pipe or a device: those nobody of us made."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST_RECORD:
            raise OSError(errno.EINVAL, "no record", str(path))
        return stream.read(_LARGEST_RECORD)


def move(source: Path, target: Path) -> None:
    """Rename a file in place of another, or of nothing; from another filesystem it is copied, and appears whole as well."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = partial_name(target)
        try:
            shutil.copyfile(source, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        source.unlink()


@contextmanager
def sweeping(folder: Path, lock: Path, patterns: tuple[str, ...]) -> Iterator[None]:
    """Use a folder together with other processes; whoever is alone in it deletes what is unfinished there.

    First what killed processes left; in the end, when an error or a signal ended the work, what that left itself. The lock only
    saves space: where the filesystem has none, nothing is deleted and all else goes on.
    """
    # What flock() answers there differs: ENOLCK, ENOTSUP, ENOSYS, EBADMSG, EIO.
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    except OSError:  # another user's, or a volume without room or rights: work on, and delete nothing
        yield
        return
    try:
        _sweep_alone(descriptor, folder, patterns)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            yield
        except BaseException:
            _sweep_alone(descriptor, folder, patterns)
            raise
    finally:
        os.close(descriptor)


def _sweep_alone(descriptor: int, folder: Path, patterns: tuple[str, ...]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # somebody else is at work there
    except OSError as error:
        _tell_no_locks(str(folder), str(error.strerror))
        return
    for pattern in patterns:
        for path in folder.rglob(pattern):
            with suppress(OSError):
                path.unlink(missing_ok=True)


@lru_cache(maxsize=8)
def _tell_no_locks(folder: str, reason: str) -> None:
    """Say it once."""
    _log.warning("no file locks in %s (%s): processes that fetch the same model at once each do it", folder, reason)
