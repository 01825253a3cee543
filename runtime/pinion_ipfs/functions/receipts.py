"""Who gets the receipts of a call; and one receipt for what took many blocks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..backends.base import Attempt, Receipt
from ..content.cid import Cid

MAX_ATTEMPTS = 100  # in the receipt of an operation of many blocks
Sink = Callable[[Receipt], None]
_sink: ContextVar[Sink] = ContextVar("sink", default=lambda receipt: None)
_last = threading.local()


def tell(receipt: Receipt) -> None:
    """Give a receipt to whoever collects those of this call."""
    _sink.get()(receipt)


@contextmanager
def collecting(sink: Sink) -> Iterator[None]:
    """Let `sink` have the receipts of what is called within."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def keep_last(receipts: list[Receipt]) -> None:
    """Note what the last call of this thread got; the list may still grow."""
    _last.receipts = receipts


def get_last_receipts() -> tuple[Receipt, ...]:
    """Return the receipts of the last synchronous call in this thread: of each operation, who served it and who did not."""
    return tuple(getattr(_last, "receipts", ()))


class Gathered:
    """Many receipts that become one: all who served, in order, and of each backend's failures the first of a kind."""

    def __init__(self, operation: str, cid: Cid) -> None:
        self._operation, self._cid = operation, cid
        self._started = time.monotonic()
        self._served: dict[str, None] = {}
        self._attempts: dict[tuple[str, str], Attempt] = {}
        self._preferred = ""
        self._bytes = 0

    def take(self, receipt: Receipt) -> None:
        """Take the receipt of one block."""
        self._preferred = self._preferred or receipt.preferred
        self._bytes += receipt.bytes
        if receipt.backend:
            self._served[receipt.backend] = None
        for attempt in receipt.attempts:
            if len(self._attempts) < MAX_ATTEMPTS:
                self._attempts.setdefault((attempt.backend, attempt.kind), attempt)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell the one receipt when what is within ends, with its error if there is one."""
        try:
            yield
        except Exception as error:
            tell(self._receipt("", str(error)))
            raise
        tell(self._receipt(", ".join(self._served), ""))

    def _receipt(self, served: str, error: str) -> Receipt:
        seconds, attempts = time.monotonic() - self._started, tuple(self._attempts.values())
        return Receipt(self._operation, served, self._preferred, seconds, self._bytes, str(self._cid), attempts, error)
