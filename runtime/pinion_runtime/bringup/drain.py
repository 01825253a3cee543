"""The end of a pod: nothing that was accepted is lost, and it is over before the grace period is."""

import asyncio
import logging
import time

from pinion_contract.status import Phase

from ..pod.lifecycle import Lifecycle
from ..server.admission import Admission
from ..server.app import App
from ..server.errors import ApiError, Code
from ..server.listener import Listener

_log = logging.getLogger(__name__)
_RESERVE_SECONDS = 10.0  # of the grace period, for what comes after the last answer
_LAST_WORDS_SECONDS = 2.0  # for the refusals of what could not be finished


async def drain(
    lifecycle: Lifecycle,
    app: App,
    listener: Listener,
    listening: asyncio.Task[None],
    admission: Admission,
    *,
    accept_seconds: float,
    grace: float,
) -> None:
    """Let the inference port run out: readiness off, accept a little longer, finish, refuse what is left.

    `accept_seconds`: endpoints still send for a while after a pod is told to end. `grace`: from the signal to the kill.
    """
    deadline = time.monotonic() + finish_seconds(grace)
    was_ready = lifecycle.phase is Phase.READY
    lifecycle.to(Phase.DRAINING)
    if was_ready or app.in_flight:
        await asyncio.sleep(min(accept_seconds, max(0.0, deadline - time.monotonic())))
    listener.stop()
    if await _ends(listening, deadline - time.monotonic()):
        return
    _log.warning("%d requests are unfinished at the end of the grace period", app.in_flight)
    admission.interrupt_all(ApiError(503, Code.SHUTTING_DOWN, "This pod ended before the request was done.", retry_after=1.0))
    if not await _ends(listening, _LAST_WORDS_SECONDS):
        listener.abort()
        await _ends(listening, _LAST_WORDS_SECONDS)


def finish_seconds(grace: float) -> float:
    """Return how long what is in flight may take: the grace period less the reserve, at least half of it."""
    return max(grace - _RESERVE_SECONDS, grace / 2)


async def _ends(task: asyncio.Task[None], seconds: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
    return bool(done)
