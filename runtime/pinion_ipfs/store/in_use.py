"""Who uses a store now: the locks that our processes hold while they fetch or pin, and the files that anybody has open."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from ..errors import BackendBusy, StoreInaccessible
from ..threads import finish_in_thread
from .files import make_folders

_WAIT_SECONDS, _TURN_SECONDS = 30.0, 0.05  # for another collection to end, and between two looks
_BLOCKS, _PINS = "blocks.lock", "pins.lock"


class Uses:
    """The locks of a store, in a folder beside its cache. Blocking.

    Whoever fetches or pins holds one in common; a collection takes what nobody holds. Where a filesystem has no locks, users go
    on without, and nothing is collected. Who can only read holds a lock that is there already, else none.
    """

    def __init__(self, folder: Path, *, wait_seconds: float = _WAIT_SECONDS) -> None:
        self._folder, self.wait_seconds = folder, wait_seconds

    @contextmanager
    def of_repository(self, folder: str) -> Iterator[None]:
        """Keep collections away from a repository, by the name of its folder in the cache."""
        with self._held(f"{folder}.lock"):
            yield

    @contextmanager
    def of_blocks(self) -> Iterator[None]:
        """Keep collections away from single blocks."""
        with self._held(_BLOCKS):
            yield

    @contextmanager
    def alone_with_repository(self, folder: str) -> Iterator[bool]:
        """Give True while nobody else uses a repository, False when somebody does."""
        with self._alone(f"{folder}.lock") as alone:
            yield alone

    @contextmanager
    def of_pins(self) -> Iterator[None]:
        """Let nobody collect while a pin is made, from the look whether all is there to the record that says so."""
        with self._held(_PINS):
            yield

    @contextmanager
    def alone_with_blocks(self) -> Iterator[bool]:
        """Give True while nobody else imports single blocks, False when somebody does."""
        with self._alone(_BLOCKS) as alone:
            yield alone

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Be the one who collects, while nobody pins; raise BackendBusy when others do so for more than half a minute."""
        limit = time.monotonic() + self.wait_seconds
        while True:
            with self._alone(_PINS) as alone:
                if alone:
                    yield
                    return
            if time.monotonic() > limit:
                raise BackendBusy(f"{self._folder}: others collect or pin, for more than {self.wait_seconds:g} s")
            time.sleep(_TURN_SECONDS)

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        try:
            descriptor = self._open_shared(self._folder / name)
        except OSError:  # no such lock yet, and none can be made: a collection elsewhere can't be told of this use
            yield
            return
        try:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked may have the descriptor too
            os.close(descriptor)

    def _open_shared(self, lock: Path) -> int:
        try:
            make_folders(self._folder)
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        except OSError:  # can't be written here; others may collect on the same volume
            return os.open(lock, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def _alone(self, name: str) -> Iterator[bool]:
        try:
            make_folders(self._folder)
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        except OSError as error:
            raise StoreInaccessible(f"{error.filename}: {error.strerror}: nothing is collected") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError as error:
                what = f"no file locks in {self._folder} ({error.strerror}), so who uses the store can't be told"
                raise StoreInaccessible(f"{what}: nothing is collected") from error
            yield True
        finally:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


@asynccontextmanager
async def in_use(use: AbstractContextManager[None]) -> AsyncIterator[None]:
    """Hold a lock on a loop: it is waited for in a thread, as long as a collection under way has it."""
    with ExitStack() as held:
        await finish_in_thread(held.enter_context, use)
        yield


def open_inodes() -> frozenset[int]:
    """Return the numbers of the files that a process has open or mapped, as far as /proc tells this user.

    The device is left out: filesystems in layers give another one to a mapped file. A number too many keeps a file.
    """
    found: set[int] = set()
    for process in _children(Path("/proc")):
        if process.name.isdigit():
            for entry in _children(process / "fd"):
                with suppress(OSError):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):  # sockets and pipes have numbers of their own, which mean no file
                        found.add(status.st_ino)
            found.update(_mapped(process / "maps"))
    return frozenset(found)


def _mapped(maps: Path) -> Iterator[int]:
    with suppress(OSError), maps.open("rb") as lines:
        for line in lines:
            fields = line.split(maxsplit=5)
            if len(fields) > 4 and fields[4].isdigit() and fields[4] != b"0":
                yield int(fields[4])


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ESRCH, errno.ENOTDIR, errno.EINVAL):
            return []
        raise
