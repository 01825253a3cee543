"""Keeps the resident memory of the engine near what it uses: packages it does not need, pages that nobody reads any more."""

import ctypes
import gc
import mmap
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Imported where they happen to be installed: scipy and triton by transformers, for losses and for kernels that are compiled,
# 130 MiB; cuda, the bindings of the driver, by torch, 11 MiB.
_UNUSED = ("scipy", "triton", "cuda")
_NEEDED_BY_ACCELERATORS = ("triton", "cuda")
_ACCELERATORS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/kfd", "/dev/dxg")
_WORTH_BYTES = 1 << 17  # a smaller mapping is not worth a system call
_SMAPS = Path("/proc/self/smaps")
# Activations of ever new sizes leave holes between them that the allocator keeps: without this an engine that had grown to
# 950 MB was at 1060 after another hundred batches and went on growing, with it it stays. It takes 30 ms.
TRIM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping of a process; sizes in bytes."""

    start: int
    end: int
    permissions: str  # as `r-xp`
    file: str  # name without folder; empty when it has none
    resident: int
    anonymous: int  # of the resident: this process's own


def do_without_unused_packages(accelerators: Iterable[str] = _ACCELERATORS) -> None:
    """Make their import fail, as where they are not installed; before anything is imported. Accelerators need some of them."""
    wanted = _NEEDED_BY_ACCELERATORS if any(Path(device).exists() for device in accelerators) else ()
    for name in _UNUSED:
        if name not in sys.modules and name not in wanted:
            sys.modules[name] = None  # type: ignore[assignment] # how Python says that a module can't be imported


@contextmanager
def imports() -> Iterator[None]:
    """Keep the collector from what is imported within: it stays, and to look through it again and again takes a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle(smaps: Path = _SMAPS) -> None:
    """Free what loading left behind."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # what is here now stays: it need not be looked at again
    rest(smaps)


def rest(smaps: Path = _SMAPS) -> None:
    """Give back what is free, and pages of libraries: those that are used come back from the page cache, in milliseconds."""
    trim()
    _let_go(unwritten_mappings(read_mappings(smaps.read_text())))


def unwritten_mappings(mappings: Iterable[Mapping]) -> list[tuple[int, int]]:
    """Return (start, end) of the mappings of libraries that can't be written and hold no page of this process's own."""
    return [
        (one.start, one.end)
        for one in mappings
        if ".so" in one.file and one.permissions in ("r-xp", "r--p") and one.resident >= _WORTH_BYTES and one.anonymous == 0
    ]


def read_mappings(smaps: str) -> Iterator[Mapping]:
    """Read what Linux writes in `smaps`, in the order of addresses."""
    span, permissions, file, resident = "", "", "", 0
    for line in smaps.splitlines():
        name, _, value = line.partition(" ")
        if not name.endswith(":"):
            span, (permissions, *fields) = name, value.split(maxsplit=4)
            file = fields[3].rpartition("/")[2] if len(fields) > 3 else ""
        elif name == "Rss:":
            resident = int(value.split()[0]) << 10
        elif name == "Anonymous:":
            start, end = (int(part, 16) for part in span.split("-"))
            yield Mapping(start, end, permissions, file, resident, int(value.split()[0]) << 10)


def _let_go(spans: Iterable[tuple[int, int]]) -> None:
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in spans:
        madvise(start, end - start, mmap.MADV_DONTNEED)


def trim() -> None:
    """Give free memory back to the system, where the C library can (glibc)."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


class Trim:
    """Gives free memory back now and then while there is work; after it once, and what is not needed at rest with it."""

    def __init__(
        self, trim: Callable[[], None] = trim, rest: Callable[[], None] = rest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trim, self._rest, self._clock = trim, rest, clock
        self._last = clock()
        self._used = False  # since the last rest

    def seconds_left(self) -> float | None:
        """Return how long it is until `perhaps` will have something to do; None when there is nothing."""
        return max(0.0, self._last + TRIM_SECONDS - self._clock()) if self._used else None

    def used(self) -> None:
        """Note that memory was used."""
        self._used = True

    def after_work(self) -> None:
        """Note that memory was used, and give it back when the last time is long enough ago."""
        self.used()
        if self._is_time():
            self._trim()
            self._last = self._clock()

    def perhaps(self) -> None:
        """Rest, when nothing is asked for and the last time is long enough ago; once until there is work again."""
        if self._used and self._is_time():
            self._rest()
            self._last, self._used = self._clock(), False

    def _is_time(self) -> bool:
        return self._clock() - self._last >= TRIM_SECONDS
