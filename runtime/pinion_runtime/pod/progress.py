"""Tells a person, or a log, how far bring-up is."""

import asyncio
import logging
import sys

from pinion_contract.status import Phase

from .lifecycle import Change
from .state import Pod

_log = logging.getLogger(__name__)
_REDRAW_SECONDS = 0.2
_CLEAR_LINE = "\r\x1b[K"


def log_changes(pod: Pod) -> None:
    """Log each change of phase, and each failure."""

    def changed(change: Change) -> None:
        if change.failure is not None and change.failure.retrying:
            _log.warning("%s: %s: %s (trying again)", change.failure.stage, change.failure.reason, change.failure.message)
        elif change.phase is Phase.FAILED and change.failure is not None:
            _log.error("failed in %s: %s: %s", change.failure.stage, change.failure.reason, change.failure.message)
        if change.phase is Phase.READY:
            model = pod.model
            _log.info("Ready: %s, %s on %s, %s", model.name, model.dtype, model.device, model.opened_cid)
            if model.pooling_assumed:
                _log.info(
                    "the model's files say nothing of pooling: %s is assumed, as sentence-transformers does", model.pooling
                )
        elif change.phase is not change.before:
            _log.info("%s", change.phase)

    pod.lifecycle.on_change(changed)


async def draw(pod: Pod) -> None:
    """Draw the transfer on the terminal's last line while it runs; for ever."""
    drawn = False
    while True:
        if pod.lifecycle.phase is Phase.FETCHING and pod.transfer.total_bytes:
            sys.stderr.write(_CLEAR_LINE + transfer_line(pod))
            sys.stderr.flush()
            drawn = True
        elif drawn:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
            drawn = False
        await asyncio.sleep(_REDRAW_SECONDS)


def transfer_line(pod: Pod) -> str:
    """Return how far the transfer is, in one line."""
    transfer = pod.transfer
    done, total = transfer.completed_bytes / 1e6, transfer.total_bytes / 1e6
    eta = "" if transfer.eta_seconds is None else f", {transfer.eta_seconds} s left"
    return f"{done:.1f} of {total:.1f} MB, {transfer.bytes_per_second / 1e6:.1f} MB/s{eta}"
