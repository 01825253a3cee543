"""From settings to the end of the process: lifecycle, servers, signals, drain."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, TypeVar

import prometheus_client
import uvloop

from pinion_contract.status import Phase

from .bringup.drain import drain
from .pod.descriptors import take_descriptors
from .pod.lifecycle import Change, Lifecycle
from .pod.metrics import Metrics
from .pod.progress import draw, log_changes
from .pod.sampler import sample
from .pod.state import Pod
from .server.admission import Admission
from .server.app import App
from .server.connection import Bounds
from .server.listener import Listener
from .server.ports import inference_app, management_app
from .settings import Settings

if TYPE_CHECKING:
    from .bringup.stages import Bringup

_log = logging.getLogger("pinion_runtime")
_T = TypeVar("_T")
_Tasks = Iterable[asyncio.Task[None]]
_INTERRUPTED = 130
_GIVE_UP_SECONDS = 0.5  # for what was cancelled; the end of the process is the end of it in any case
_CLOSE_SECONDS = 5.0  # for what is let go in order


def run(settings: Settings) -> int:
    """Run until told to end; return 0 after a drain, 1 when a port is taken or a model can't be served on a laptop.

    Threads may go on then: whoever called ends the process.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("uvicorn", "httpx", "httpx2", "httpcore", "huggingface_hub"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Creation times double the number of series and nobody reads them.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types its metrics, not this switch
    # Never closed: that would wait for threads, and give the signals back before the end.
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_run(settings))


async def _run(settings: Settings) -> int:
    pod = Pod(Lifecycle(), Metrics())
    log_changes(pod)
    pod.lifecycle.on_change(lambda change: pod.metrics.enter(change.phase))
    pod.metrics.enter(pod.lifecycle.phase)
    admission = Admission(lambda: pod.limits)
    inference = inference_app(pod, admission)
    bounds = Bounds(connections=take_descriptors())
    try:
        ports = (
            Listener(inference, settings.host, settings.port, bounds),
            Listener(management_app(pod), settings.management_host, settings.management_port, bounds),
        )
    except OSError as error:
        _log.error("%s", error.strerror or error)
        return 1
    stop = asyncio.Event()
    _take_signals(stop, settings)
    _log.info(
        "inference on %s:%d, management on %s:%d",
        settings.host,
        settings.port,
        settings.management_host,
        settings.management_port,
    )
    return await _serve(settings, pod, admission, inference, ports, stop)


async def _serve(
    settings: Settings, pod: Pod, admission: Admission, inference: App, ports: tuple[Listener, Listener], stop: asyncio.Event
) -> int:
    listening = [asyncio.create_task(port.serve_until_stopped()) for port in ports]
    for task in listening:
        task.add_done_callback(lambda _: stop.set())
    make_bringup = await _unless(stop, asyncio.to_thread(_import_bringup))
    if make_bringup is None:  # told to end before anything had begun
        pod.lifecycle.to(Phase.DRAINING)
        ports[0].stop()
        return await _close(ports[1], listening, ())
    bringup = make_bringup(settings, pod)
    bringing = asyncio.create_task(_essential(bringup.run(), stop))
    background = [bringing, asyncio.create_task(_essential(sample(pod), stop))]
    if settings.progress:
        background.append(asyncio.create_task(_essential(draw(pod), stop)))
    if settings.on_a_laptop:
        pod.lifecycle.on_change(lambda change: _end_on_failure(change, stop))
    await stop.wait()
    failed = pod.lifecycle.phase is Phase.FAILED and settings.on_a_laptop
    # What is still being brought is not wanted any more; a model that serves goes on until the port has run out.
    bringing.cancel()
    if not pod.answers and not inference.in_flight:
        ports[1].stop()  # nobody loses anything: there is no end that would have to be watched
    await asyncio.wait({bringing}, timeout=_GIVE_UP_SECONDS)
    await drain(
        pod.lifecycle,
        inference,
        ports[0],
        listening[0],
        admission,
        accept_seconds=settings.drain_seconds,
        grace=bringup.grace_seconds,
    )
    background.append(closing := asyncio.create_task(bringup.close()))
    await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
    return await _close(ports[1], listening, background) or int(failed)


async def _close(management: Listener, listening: _Tasks, background: _Tasks) -> int:
    """Stop the port that answers longest, give up what still runs, and return 1 when an error ended a part of it."""
    management.stop()
    await asyncio.wait(listening, timeout=_CLOSE_SECONDS)
    tasks = (*background, *listening)
    for task in tasks:
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=_GIVE_UP_SECONDS)
    crashed = [error for task in ended if not task.cancelled() and (error := task.exception())]
    for error in crashed:
        _log.error("ended by an error", exc_info=error)
    return int(bool(crashed))


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, _T]) -> _T | None:
    """Return what the work gives, or None when a stop comes before; the work is not waited for then."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return None if stop.is_set() else working.result()


def _import_bringup() -> "type[Bringup]":
    """The hub's client takes longer to import than all the rest: ports answer and signals count meanwhile."""
    from .bringup.stages import Bringup

    return Bringup


async def _essential(work: Coroutine[None, None, None], stop: asyncio.Event) -> None:
    """Run what the process can't be without; its error ends the process."""
    try:
        await work
    except Exception:
        stop.set()
        raise


def _end_on_failure(change: Change, stop: asyncio.Event) -> None:
    if change.phase is Phase.FAILED:
        stop.set()


def _take_signals(stop: asyncio.Event, settings: Settings) -> None:
    """SIGTERM and SIGINT begin the end; a second SIGTERM changes nothing, a second Ctrl-C at a terminal ends at once."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set() and settings.on_a_laptop:
            os._exit(_INTERRUPTED)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
