"""The attempts of one operation: which backends were let through, what each said, and the receipt that comes of it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..backends.base import Attempt, Backend, Capability, Receipt, Replica
from ..backends.breaker import Circuit
from ..content.cid import Cid
from ..errors import (
    BackendUnavailable,
    BlockMismatch,
    ContentError,
    ContentMissing,
    MalformedCar,
    PinFailed,
    ReplicationFailed,
    StorageFilled,
    StoreInaccessible,
)

# What another backend may do better. A caller's mistake (a bad CID, a directory where a file was meant) is none of these.
_OF_A_STORE = (StorageFilled, StoreInaccessible)  # of one place: another may have room
FALLBACK_ERRORS = (BackendUnavailable, BlockMismatch, MalformedCar, PinFailed, *_OF_A_STORE)


class SourceFailed(ContentError):
    """Who gave the bytes of a copy failed on the way; the backend that was to get it did nothing wrong."""


class WrongEverywhere(BlockMismatch, BackendUnavailable):
    """Backends answer, and whoever has the block gives other bytes; `source` names those who do."""


class Attempts:
    """One operation on backends, in their order."""

    def __init__(
        self, operation: str, able: Sequence[Backend], circuit: Callable[[Backend], Circuit], cid: Cid | None = None
    ) -> None:
        self._operation, self._able, self._circuit, self._cid = operation, able, circuit, cid
        self._started = time.monotonic()
        self._failures: list[Attempt] = []
        self._errors: list[ContentError] = []
        self._replicas: dict[int, Replica] = {}  # by the backend's place in the order
        self.served: list[str] = []
        self.lacking: list[Backend] = []

    def let_through(self, wanted: Callable[[Backend], bool] = lambda backend: True) -> Iterator[Backend]:
        """Yield the wanted backends that may be asked now; of others that are wanted it is noted that they failed too often."""
        for backend in self._able:
            if not wanted(backend):
                continue
            if self._circuit(backend).allow():
                yield backend
            else:
                self._note(backend, "failed too often lately", "CircuitOpen", 0.0)

    @contextmanager
    def at(self, backend: Backend) -> Iterator[None]:
        """Ask a backend within: that another may do better is noted and not raised; all else is the caller's."""
        circuit = self._circuit(backend)
        started = time.monotonic()
        try:
            yield
        except FALLBACK_ERRORS as error:
            if isinstance(error, BlockMismatch) and not error.source:
                error.source = backend.name
            circuit.record(error)
            self._errors.append(error)
            self._note(backend, str(error), type(error).__name__, time.monotonic() - started)
            if isinstance(error, ContentMissing):
                self.lacking.append(backend)
        except SourceFailed as error:
            circuit.release()
            self._note(backend, str(error), type(error).__name__, time.monotonic() - started)
        except BaseException:
            circuit.release()
            raise
        else:
            circuit.record(None)
            self.served.append(backend.name)
            self._keep(backend, Replica(backend.name))

    def receipt(self, count: int, error: str = "", *, replicated: bool = False) -> Receipt:
        """Return what is told of the operation."""
        preferred = self._able[0].name if self._able else ""
        seconds, cid = time.monotonic() - self._started, str(self._cid or "")
        lines = tuple(line for _, line in sorted(self._replicas.items())) if replicated else ()
        failures = tuple(self._failures)
        return Receipt(self._operation, ", ".join(self.served), preferred, seconds, count, cid, failures, error, lines)

    def failure(self) -> ContentError:
        """Return the error to raise where none served."""
        what = self._what()
        if not self._failures:
            return BackendUnavailable(f"{what}: no backend can do this")
        if len(self._failures) == 1 and self._errors and isinstance(self._errors[0], _OF_A_STORE):
            return self._errors[0]  # there is no other: its reason says what to do
        told = "; ".join(map(_told, self._failures))
        if len(self._errors) == len(self._failures) and all(isinstance(error, ContentMissing) for error in self._errors):
            return ContentMissing(f"{what}: {told}")
        return self._mismatch() or BackendUnavailable(f"{what}: {told}")

    def _mismatch(self) -> ContentError | None:
        """Return the error to raise where all that came was wrong, and nobody failed to answer; None otherwise."""
        wrong = [error for error in self._errors if isinstance(error, BlockMismatch)]
        lacking = [attempt for attempt in self._failures if attempt.kind == ContentMissing.__name__]
        if not wrong or len(wrong) + len(lacking) < len(self._failures):
            return None
        first, sources = wrong[0], ", ".join(dict.fromkeys(error.source for error in wrong))
        what = "; ".join((self._what(), *map(_told, lacking)))
        return WrongEverywhere(
            what, expected=first.expected, actual=first.actual, source=sources, path=first.path, block=first.block
        )

    def too_few(self, least: int) -> ContentError:
        """Return the error to raise where fewer than `least` backends have pinned."""
        if not self.served:
            return self.failure()
        done = f"pinned in {', '.join(self.served)}, where it stays"
        said = [_told(Attempt(line.backend, line.error, "")) for _, line in sorted(self._replicas.items()) if line.error]
        short = f"{self._what()}: {len(self.served)} of at least {least} backends"
        return ReplicationFailed("; ".join((f"{short}: {done}", *said)), pinned_in=tuple(self.served))

    def _note(self, backend: Backend, error: str, kind: str, seconds: float) -> None:
        self._failures.append(Attempt(backend.name, error, kind, seconds))
        self._keep(backend, Replica(backend.name, error))

    def _keep(self, backend: Backend, line: Replica) -> None:
        if Capability.PIN in backend.capabilities:  # what takes content and has no pins keeps no copy
            self._replicas[next(place for place, each in enumerate(self._able) if each is backend)] = line

    def _what(self) -> str:
        return f"{self._operation} {self._cid}" if self._cid else self._operation


def _told(attempt: Attempt) -> str:
    """Name the backend once: most of them do so themselves."""
    named = attempt.error.startswith((f"{attempt.backend}:", f"{attempt.backend} ("))
    return attempt.error if named else f"{attempt.backend}: {attempt.error}"
