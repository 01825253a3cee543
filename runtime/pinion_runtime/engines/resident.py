"""Keeps the resident memory of the engine near what it uses: packages it does not need, pages that only the start has read."""

import ctypes
import gc
import mmap
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

# transformers imports them where they happen to be installed, for losses and for kernels that are compiled: 130 MiB.
_UNUSED = ("scipy", "triton")
_ACCELERATORS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
_WORTH_BYTES = 1 << 20  # a smaller mapping is not worth a system call
# Activations of ever new sizes leave holes between them that the allocator keeps: without this an engine that had grown to
# 950 MB was at 1060 after another hundred batches and went on growing, with it it stays. It takes 30 ms.
TRIM_SECONDS = 10.0


def do_without_unused_packages(accelerators: Iterable[str] = _ACCELERATORS) -> None:
    """Make their import fail, as where they are not installed; before anything is imported. Accelerators need triton."""
    wanted = ("triton",) if any(Path(device).exists() for device in accelerators) else ()
    for name in _UNUSED:
        if name not in sys.modules and name not in wanted:
            sys.modules[name] = None  # type: ignore[assignment] # how Python says that a module can't be imported


def settle(smaps: Path = Path("/proc/self/smaps")) -> None:
    """Free what loading left behind; what is needed of libraries comes back with the warm-up, from the page cache."""
    gc.collect()
    gc.freeze()  # what is here now stays: it need not be looked at again
    trim()
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in unwritten_mappings(smaps.read_text()):
        madvise(start, end - start, mmap.MADV_DONTNEED)


def unwritten_mappings(smaps: str) -> list[tuple[int, int]]:
    """Return (start, end) of the mappings of libraries that can't be written and hold no page of this process's own."""
    found: list[tuple[int, int]] = []
    candidate: tuple[int, int] | None = None
    resident = 0
    for line in smaps.splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            span, (permissions, *fields) = name, rest.split()
            start, end = (int(part, 16) for part in span.split("-"))
            library = len(fields) >= 4 and ".so" in os.path.basename(fields[3])  # noqa: PTH119 - of thousands of lines
            candidate = (start, end) if library and permissions in ("r-xp", "r--p") else None
        elif name == "Rss:":
            resident = int(rest.split()[0]) << 10
        elif name == "Anonymous:" and candidate is not None and resident >= _WORTH_BYTES and int(rest.split()[0]) == 0:
            found.append(candidate)
    return found


def trim() -> None:
    """Give free memory back to the system, where the C library can (glibc)."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


class Trim:
    """Gives free memory back now and then while there is work, and once after it."""

    def __init__(self, trim: Callable[[], None] = trim, clock: Callable[[], float] = time.monotonic) -> None:
        self._trim, self._clock = trim, clock
        self._last = clock()
        self._used = False  # since the last time

    def seconds_left(self) -> float | None:
        """Return how long it is until there will be something to do; None when there is nothing."""
        return max(0.0, self._last + TRIM_SECONDS - self._clock()) if self._used else None

    def after_work(self) -> None:
        """Note that memory was used, and give it back when the last time is long enough ago."""
        self._used = True
        self.perhaps()

    def perhaps(self) -> None:
        """Do it when there is something to do, and the last time is long enough ago."""
        if self._used and self._clock() - self._last >= TRIM_SECONDS:
            self._trim()
            self._last, self._used = self._clock(), False
