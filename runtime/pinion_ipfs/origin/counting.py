"""Counts of the bytes that arrive, told to the parent while they do."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

_REPORT_SECONDS = 0.2


class Counter:
    """Counts what arrives, on the wire and as the library reports it, and tells the parent a few times a second."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._wire = 0
        self._reported = 0
        self._sent_at = 0.0

    def on_wire(self, count: int) -> None:
        """Take bytes of a response body."""
        with self._lock:
            self._wire += count
        self.alive()

    def on_report(self, count: int) -> None:
        """Take bytes that a progress bar was told of; Xet's own transfers are seen only here."""
        with self._lock:
            self._reported += count
        self.alive()

    def alive(self) -> None:
        """Tell the parent where we are, unless that was just done."""
        now = time.monotonic()
        with self._lock:
            if now - self._sent_at < _REPORT_SECONDS:
                return
            self._sent_at = now
            received = max(self._wire, self._reported)
        self._send("bytes", received=received)

    def wait(self, seconds: float) -> None:
        """Sleep, and show meanwhile that this is no stall."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _REPORT_SECONDS))
            self.alive()

    def bar(self) -> type["_Bar"]:
        """Return a class that huggingface_hub uses as a progress bar."""
        counter = self

        class CountingBar(_Bar):
            def update(self, n: float | None = 1) -> None:
                counter.on_report(int(n or 0))

        return CountingBar


class _Bar:
    """As much of tqdm as the library calls; shows nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.total = kwargs.get("total")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def update(self, n: float | None = 1) -> None:
        """Take progress."""

    def update_transfer(self, n: float | None = 1) -> None:
        """Take progress on the wire, which Xet counts apart."""

    def set_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        """Ignore the caption."""

    def set_transfer_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        """Ignore the caption."""

    def refresh(self) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Release nothing."""
