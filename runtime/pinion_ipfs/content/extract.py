"""Write what the verifying walk yields below one directory, by descriptors: no name and no link can lead out of it."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from ..threads import finish_in_thread
from .car_blocks import BlockGet
from .car_spool import BlockSpool
from .cid import Cid
from .errors import UnsupportedDag
from .names import check_name
from .verify import DirectoryFound, Event, FileEnd, FilePiece, FileStart, Limits, unpack_car

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# What one visit to a thread carries out: of many small files each would cost more than its writes.
_BATCH_EVENTS, _BATCH_BYTES = 512, 1024 * 1024


class Extractor:
    """Write a tree into `target`, which must not exist; when the root is one file, `target` becomes that file."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._parent = -1
        self._file = -1

    def __enter__(self) -> Self:
        self._parent = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close_file()
        os.close(self._parent)

    def take_all(self, events: Iterable[Event]) -> None:
        """Carry out several events."""
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Carry out one event; raise FileExistsError for what is there already, OSError as the system says."""
        if isinstance(event, FilePiece):
            view = memoryview(event.data)
            while view:
                view = view[os.write(self._file, view) :]
        elif isinstance(event, FileEnd):
            self._close_file()
        else:
            holder = self._open_holder(event.path)
            name = event.path.rsplit("/", 1)[-1] or self._target.name
            try:
                if isinstance(event, DirectoryFound):
                    os.mkdir(name, dir_fd=holder)
                else:
                    self._file = os.open(name, _NEW_FILE, 0o666, dir_fd=holder)
            finally:
                os.close(holder)

    def _open_holder(self, path: str) -> int:
        """Open the directory in which `path` lies, name by name."""
        names = [self._target.name, *path.split("/")[:-1]] if path else []
        here = os.dup(self._parent)
        try:
            for name in names:
                check_name(name, path)
                below = os.open(name, _DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
        except (OSError, UnsupportedDag):
            os.close(here)
            raise
        return here

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


async def extract_car(
    chunks: AsyncIterator[bytes],
    root: Cid | None,
    target: Path,
    *,
    limits: Limits | None = None,
    elsewhere: BlockGet | None = None,
    spool: BlockSpool | None = None,
) -> int:
    """Unpack a CAR into `target` and return the bytes of its files. Raise as `unpack_car` and `extract_events` do."""
    return await extract_events(unpack_car(chunks, root, limits=limits, elsewhere=elsewhere, spool=spool), target)


async def extract_events(walk: AsyncGenerator[Event, None], target: Path) -> int:
    """Write what a walk yields into `target` and return the bytes of its files; writes happen in threads.

    What was written before an error stays: the caller names a place of its own and removes it. The walk is closed.
    """
    total = waiting = 0
    batch: list[Event] = []
    async with aclosing(walk) as events:
        with Extractor(target) as extractor:
            async for event in events:
                batch.append(event)
                waiting += len(event.data) if isinstance(event, FilePiece) else 0
                total += event.size if isinstance(event, FileStart) else 0
                if len(batch) >= _BATCH_EVENTS or waiting >= _BATCH_BYTES:
                    await finish_in_thread(extractor.take_all, batch)
                    batch, waiting = [], 0
            await finish_in_thread(extractor.take_all, batch)
    return total
