"""Hash the 1 MiB leaves of local files in a few threads, with flat memory; hashlib lets go of the GIL."""

import hashlib
import os
import stat
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from .errors import UnreadableSource

CHUNK = 1024 * 1024  # bytes of a leaf in the profile unixfs-v1-2025
_LEAVES_PER_JOB = 16  # enough work for one turn that the threads seldom wait for each other
_MAX_THREADS = 8


@dataclass(slots=True)
class FileSpan:
    """One file while its leaves are hashed; `stamp` is (inode, size, mtime in ns) as first seen."""

    path: Path
    size: int
    stamp: tuple[int, int, int]
    digests: list[bytes] = field(default_factory=list)


def hash_files(paths: Sequence[Path], threads: int = 0, on_bytes: Callable[[int], None] = lambda count: None) -> list[FileSpan]:
    """Hash files, links followed, and return one span for each, in order; `on_bytes` is told of each leaf, in any thread.

    Raise UnreadableSource for what is no regular file, changed while it was read, or has more bytes than it says; OSError as
    the system says.
    """
    workers = max(1, min(threads or os.cpu_count() or 1, _MAX_THREADS))
    spans: list[FileSpan] = []
    jobs = _jobs(paths, spans)
    lock = Lock()

    def work() -> None:
        buffer = memoryview(bytearray(CHUNK))
        while True:
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            _hash_job(*job, buffer, on_bytes)

    if workers == 1:
        work()
        return spans
    with ThreadPoolExecutor(workers, "pinion-hash") as pool:
        futures = [pool.submit(work) for _ in range(workers)]
        try:
            for future in futures:
                future.result()
        except BaseException:
            with lock:
                jobs.close()  # the other threads end after the job they have in hand
            raise
    return spans


def _jobs(paths: Sequence[Path], spans: list[FileSpan]) -> Generator[tuple[FileSpan, int, int], None, None]:
    """Yield (file, first leaf, leaves) while filling `spans`."""
    for path in paths:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise UnreadableSource(f"{path}: not a regular file")
        leaves = max(1, -(-info.st_size // CHUNK))
        span = FileSpan(path, info.st_size, _stamp(info), [b""] * leaves)
        spans.append(span)
        for first in range(0, leaves, _LEAVES_PER_JOB):
            yield span, first, min(_LEAVES_PER_JOB, leaves - first)


def _hash_job(span: FileSpan, first: int, count: int, buffer: memoryview, on_bytes: Callable[[int], None]) -> None:
    # Without O_NONBLOCK, a file that became a FIFO would block here for ever.
    descriptor = os.open(span.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        for index in range(first, first + count):
            want = min(CHUNK, span.size - index * CHUNK)
            done = 0
            while done < want:
                read = os.preadv(descriptor, [buffer[done:want]], index * CHUNK + done)
                if not read:
                    raise UnreadableSource(f"{span.path}: became shorter while it was read")
                done += read
            span.digests[index] = hashlib.sha256(buffer[:want]).digest()
            on_bytes(want)
        if _stamp(os.fstat(descriptor)) != span.stamp:
            raise UnreadableSource(f"{span.path}: changed while it was read")
        if first + count == len(span.digests) and os.pread(descriptor, 1, span.size):
            # As in /proc: what such a file holds is made up when it is read.
            raise UnreadableSource(f"{span.path}: says that it has {span.size} bytes, and has more: hash a copy of it")
    finally:
        os.close(descriptor)


def _stamp(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_ino, info.st_size, info.st_mtime_ns
