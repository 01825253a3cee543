"""The one progress bar of all long commands: on standard error, and only where that is a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from ..progress import Progress, ProgressMeter

_SWITCH = "HF_HUB_DISABLE_PROGRESS_BARS"  # as the hub's library reads it
_YES = ("1", "ON", "YES", "TRUE")
_CELLS = 20
_WIDTH = 80  # of a terminal that does not say


def line_of(what: str, progress: Progress, width: int) -> str:
    """Return one line of at most `width` characters: how far, how fast, how long still; total 0 means unknown."""
    done, total, rate = (count / 1e6 for count in (progress.completed_bytes, progress.total_bytes, progress.bytes_per_second))
    if not total:
        return f"{what} {done:.1f} MB, {rate:.1f} MB/s"[:width]
    part = done / total
    cells = ("#" * int(part * _CELLS)).ljust(_CELLS, "-")
    left = "" if progress.eta_seconds is None else f", {progress.eta_seconds} s left"
    return f"{what} [{cells}] {part:4.0%} {done:.1f} of {total:.1f} MB, {rate:.1f} MB/s{left}"[:width]


@contextmanager
def drawn(what: str) -> Iterator[Callable[[Progress], None]]:
    """Give a function that draws a state over the one before; without a terminal it does nothing."""
    if not sys.stderr.isatty() or os.environ.get(_SWITCH, "").upper() in _YES:
        yield lambda progress: None
        return
    shown = False

    def draw(progress: Progress) -> None:
        nonlocal shown
        shown = True
        print(f"\r{line_of(what, progress, _columns() - 1)}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield draw
    finally:
        if shown:
            print(file=sys.stderr, flush=True)


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that takes the bytes that were done since its last call, from any thread; total 0 means unknown."""
    with drawn(what) as draw:
        # Without a total the meter would call everything done: it gets one that is never reached.
        meter = ProgressMeter(total or _UNKNOWN, (lambda progress: draw(_without_total(progress))) if not total else draw)
        lock = Lock()

        def add(count: int) -> None:
            with lock:
                meter.add("Origin", what, count)

        try:
            yield add
        finally:
            meter.publish()


_UNKNOWN = 1 << 62


def _without_total(progress: Progress) -> Progress:
    return Progress(0, progress.completed_bytes, progress.bytes_per_second, None, progress.sources)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
    except OSError:
        return _WIDTH
