"""What the content library does, told to the pod: progress, operations, pins and wrong bytes."""

import logging
from collections.abc import Awaitable, Sequence

from pinion_contract.status import BackendUse, SourceBytes, SourceType, Transfer
from pinion_ipfs.backends.base import Receipt
from pinion_ipfs.errors import BlockMismatch, PinFailed
from pinion_ipfs.fetching.request import OpenSnapshot, PinReceipt
from pinion_ipfs.fetching.sources import PEERS
from pinion_ipfs.findings import findings_of
from pinion_ipfs.progress import Progress

from ..pod.state import Pod

_log = logging.getLogger(__name__)

_ORIGIN = "origin"  # how metrics name the hub, whatever its address


class Telling:
    """Writes what happens to one model's bytes into status and metrics."""

    def __init__(self, pod: Pod, backends: Sequence[str]) -> None:
        self._pod = pod
        self._names = tuple(backends)  # in order of preference
        self._counted: dict[tuple[str, str], int] = {}
        self._reasons: dict[str, str] = {}  # the last that each backend gave for not serving

    def begin(self) -> None:
        """Take note that a fetch begins."""
        self._counted.clear()

    def fetched(self) -> None:
        """Take note that every file is here."""
        whole = all(source.type is SourceType.STORE for source in self._pod.transfer.sources)
        self._pod.metrics.opened(whole=whole)

    def progressed(self, progress: Progress) -> None:
        """Take note of how far a fetch is."""
        sources = tuple(SourceBytes(type=SourceType(s.type), name=s.name, bytes=s.bytes) for s in progress.sources)
        self._pod.transfer = Transfer(
            total_bytes=progress.total_bytes,
            completed_bytes=progress.completed_bytes,
            bytes_per_second=progress.bytes_per_second,
            eta_seconds=progress.eta_seconds,
            sources=sources,
        )
        for source in sources:
            key = source.type.value, source.name
            # What was thrown away and comes again was transferred all the same, but the meter has forgotten it.
            more = source.bytes - self._counted.get(key, 0)
            if more > 0:
                self._pod.metrics.transfer_bytes.labels(source.type.value).inc(more)
            self._counted[key] = source.bytes

    def operated(self, receipt: Receipt) -> None:
        """Take note of one operation of a backend."""
        metrics = self._pod.metrics
        for attempt in receipt.attempts:
            metrics.operation(receipt.operation, self._label(attempt.backend), "error", attempt.seconds)
            if attempt.backend in self._names:
                self._reasons[attempt.backend] = attempt.error
        if receipt.succeeded:
            metrics.operation(receipt.operation, self._label(receipt.backend), "ok", receipt.seconds)
        elif not receipt.attempts:
            metrics.operation(receipt.operation, self._label(receipt.preferred), "error", receipt.seconds)

    async def pinning(self, pin: Awaitable[PinReceipt]) -> PinReceipt:
        """Wait for a pin and take note of how it ended; raise its PinFailed."""
        try:
            receipt = await pin
        except PinFailed as error:
            self._not_pinned(error)
            raise
        self._pinned(receipt)
        return receipt

    def pins_missing(self, snapshot: OpenSnapshot, missing: Sequence[str]) -> None:
        """Take note of the backends that have lost the pin."""
        use = self._pod.backend
        kept = tuple(name for name in use.pinned_in if name not in missing)
        if kept != use.pinned_in:
            _log.warning("no longer pinned in %s: %s", " and ".join(missing), snapshot.cid)
            self._pod.backend = use.model_copy(update={"pinned_in": kept})

    def wrong_block(self, error: BlockMismatch) -> None:
        """Take note of a wrong block that a backend made up for by itself."""
        for finding in findings_of(error, "Backend", error.source):
            self._pod.found(finding)

    def _pinned(self, receipt: PinReceipt) -> None:
        """Take note of where the model is pinned; nothing is told when there are no backends that can."""
        if not receipt.pins:
            return
        for pin in receipt.pins:
            if pin.pinned:
                self._reasons.pop(pin.backend, None)  # what it failed at before has been made up for
        preferred, active = receipt.pins[0].backend, receipt.pinned_in[0]
        self._pod.backend = BackendUse(
            active=active,
            preferred=preferred,
            degraded=active != preferred,
            reasons=tuple(f"{name}: {reason}" for name, reason in self._reasons.items()),
            pinned_in=receipt.pinned_in,
        )

    def _not_pinned(self, error: PinFailed) -> None:
        """Take note that no backend has pinned the model."""
        self._reasons = {name: reason for name, reason in self._reasons.items() if name in self._names}
        reasons = tuple(f"{name}: {reason}" for name, reason in self._reasons.items()) or (str(error),)
        preferred = self._names[0] if self._names else ""
        self._pod.backend = BackendUse(preferred=preferred, degraded=True, reasons=reasons)

    def _label(self, backend: str) -> str:
        return backend if backend in self._names or backend == PEERS else _ORIGIN
