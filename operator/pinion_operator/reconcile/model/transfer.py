"""The transfers of the current pods together, and when a new figure is worth a write."""

from collections.abc import Sequence

from pinion_contract.status import SourceType

from ...api.modeldeployment_status import SourceStatus, TransferStatus
from .observed import Pod

MAX_SOURCES = 32  # of the list in the schema
STEP_PERCENT, STEP_SECONDS = 5, 10.0


def sum_transfers(pods: Sequence[Pod]) -> TransferStatus | None:
    """Return the sum over the pods that speak; None when none does, or none knows yet what to bring."""
    transfers = [pod.status.transfer for pod in pods if pod.status]
    total = sum(transfer.total_bytes for transfer in transfers)
    if not total:
        return None
    completed = min(total, sum(transfer.completed_bytes for transfer in transfers))
    running = [transfer for transfer in transfers if transfer.completed_bytes < transfer.total_bytes]
    known = [transfer.eta_seconds for transfer in running if transfer.eta_seconds is not None]
    by_source: dict[tuple[SourceType, str], int] = {}
    for transfer in transfers:
        for source in transfer.sources:
            by_source[source.type, source.name] = by_source.get((source.type, source.name), 0) + source.bytes
    return TransferStatus(
        total_bytes=total,
        completed_bytes=completed,
        percent=completed * 100 // total,
        bytes_per_second=sum(transfer.bytes_per_second for transfer in running) if running else None,
        eta_seconds=max(known) if known else None,
        sources=tuple(
            SourceStatus(type=type_.value, name=name, bytes=count)
            for (type_, name), count in sorted(by_source.items())[:MAX_SOURCES]
        ),
    )


def throttle(before: TransferStatus | None, now: TransferStatus | None, age: float) -> TransferStatus | None:
    """Return what to show: the new figures after 5 % or 10 s, or when a transfer begins or ends; else those shown before.

    `age`: seconds since the figures shown last changed.
    """
    if before is None or now is None or age >= STEP_SECONDS:
        return now
    same_transfer = before.total_bytes == now.total_bytes and now.completed_bytes < now.total_bytes
    if same_transfer and 0 <= now.percent - before.percent < STEP_PERCENT:
        return before
    return now
