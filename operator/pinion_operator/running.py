"""From start to stop: health and metrics first, then leadership, then kopf inside our own loop and under our own signals."""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from pinion_ipfs.hub.xet_choice import NEVER, choose_xet
from pinion_ipfs.net.trust import VARIABLE as CA_VARIABLE

from . import health
from .cluster.api import Api
from .cluster.lease import Lease
from .cluster.own_key import OwnKey
from .cluster.patience import IMPATIENT
from .cluster.rivals import Rivals
from .controller.enqueue import refs_to_enqueue
from .controller.events import Events
from .controller.executor import Executor
from .controller.kopf_settings import kopf_settings
from .controller.listed_kinds import ListedKinds
from .controller.lists import Lists
from .controller.missing_rights import MissingRights
from .controller.object_states import ObjectStates
from .controller.ownership import Ownership
from .controller.queue import WorkQueue
from .controller.reconciler import Context, Defaults, Reconciler
from .controller.secret_reader import SecretReader
from .controller.slots import Slots
from .controller.store import Store, key_of
from .controller.watch import Watch
from .controller.watch_liveness import WatchLiveness
from .controller.watch_refusals import WatchRefusals
from .controller.watched_kinds import SELECTORS, WATCHED
from .controller.worker import Worker
from .descriptors import take_descriptors
from .metrics import Metrics
from .probes.authorities import Authorities
from .reconcile.custom_code import CustomCode
from .resources.extra_env import parse_extra_env
from .resources.kinds import Kind, Object, Ref
from .resources.names import FIELD_MANAGER
from .resources.platform import Platform
from .settings import Settings
from .state import State

THREADS = 32
PARKED = 8  # passes for each worker that may be begun: one works, the others wait because the API server asked them to

log = logging.getLogger(__name__)

_FIRST_STEPS = 5  # of kopf; it needs two


async def run(settings: Settings, reconcilers: Iterable[Reconciler[Any]]) -> bool:
    """Serve health, wait for the Lease, lead; return whether we were asked to stop."""
    take_effect(settings)
    stop = asyncio.Event()
    take_signals(stop)
    descriptors = take_descriptors(settings, len(WATCHED) * max(1, len(settings.namespaces)))
    log.info("file descriptors", extra=descriptors._asdict())
    # Names are resolved, and hubs are asked, by threads: those that wait for a hub must leave some for names.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="blocking"))
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"  # new with each start: a restarted container is a stranger
    metrics = Metrics()
    connect = partial(
        Api.connect,
        kubeconfig=os.environ.get("KUBECONFIG", ""),
        agent=f"pinion-operator/{identity}",
        manager=FIELD_MANAGER,
        on_request=metrics.requested,
        service_account=Path(settings.service_account_path),
    )
    api = await connect(connections=settings.workers + 2, timeout=settings.request_timeout_seconds)
    timing = settings.lease_timing
    # Connections of its own, and no waiting inside a request: what slows the work down must not cost the Lease.
    lease_api = await connect(connections=4, timeout=min(settings.request_timeout_seconds, timing.attempt), patience=IMPATIENT)
    key = (settings.lease_namespace, settings.lease_name)
    rivals = Rivals(lease_api, key, settings.namespaces, timing.duration)
    lease = Lease(lease_api, key, identity, rivals, timing=timing, on_renewal=metrics.renewed)
    state = State(
        settings,
        metrics,
        lease,
        rivals,
        WorkQueue(on_wait=metrics.waited),
        WatchLiveness(settings.watch_limit),
        WatchRefusals(),
        MissingRights(settings.refused_seconds / 3),
        ObjectStates(),
    )
    server = await health.serve(
        settings.health_host,
        settings.health_port,
        metrics,
        readiness=state.readiness,
        silent=state.liveness.silent,
        refresh=state.refresh,
    )
    try:
        if await acquire(lease, stop):
            api.before_write = lease.require
            # A connection that is kept open for each of a thousand pods would take all descriptors.
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http:
                probing = asyncio.Semaphore(descriptors.probes)
                outside = Outside(api, http, probing, Events(api, metrics, identity))
                await lead(build(state, reconcilers, outside), lease, stop)
    finally:
        await server.cleanup()
        await lease_api.close()
        await api.close()
    log.info("stopped", extra={"asked": stop.is_set()})
    return stop.is_set()


async def acquire(lease: Lease, stop: asyncio.Event) -> bool:
    """Wait until we lead or are asked to stop; return whether we lead."""
    stopping, acquired = asyncio.create_task(stop.wait()), asyncio.create_task(lease.acquire())
    await first(stopping, acquired)
    for task in (stopping, acquired):
        task.cancel()
    await asyncio.wait((stopping, acquired))
    if acquired.cancelled():
        return False  # had it been taken in this very moment, it would run out by itself
    acquired.result()
    return True


class Outside(NamedTuple):
    """What the parts speak to."""

    api: Api
    http: aiohttp.ClientSession
    probing: asyncio.Semaphore
    events: Events


class Parts(NamedTuple):
    """What works while we lead."""

    settings: Settings
    queue: WorkQueue
    lists: Lists
    watch: Watch
    worker: Worker
    events: Events
    listed: ListedKinds


def build(state: State, reconcilers: Iterable[Reconciler[Any]], outside: Outside) -> Parts:
    """Put the parts together."""

    def changed(kind: Kind, before: Object | None, after: Object | None) -> None:
        state.objects.saw(kind, before, after)
        for ref in refs_to_enqueue(kind, before, after, store):
            if ref.kind in kinds:
                queue.add(ref)

    def enqueue_all(namespace: str) -> None:
        for kind in kinds:
            for obj in store.list(kind, namespace):
                queue.add(Ref(kind, *key_of(obj)))

    settings, metrics, queue = state.settings, state.metrics, state.queue
    api, http, probing, events = outside
    reconcilers = tuple(reconcilers)
    kinds = {reconciler.kind for reconciler in reconcilers}

    store = Store(changed)
    ownership = Ownership(api, store)
    lists = Lists(
        api, store, metrics, state.refusals, settings.namespaces, patience=settings.refused_seconds / 3, on_hidden=enqueue_all
    )
    watch = Watch(api, store, metrics, state.liveness, state.refusals, lists.wanted, settings.namespaces)
    defaults = Defaults(
        settings.runtime_image,
        settings.kubo_image,
        settings.image_pull_policy,
        settings.hub_endpoint,
        settings.allow_local_addresses,
        settings.allowed_networks,
        (settings.lease_namespace, *settings.monitoring_namespaces),
        settings.lease_namespace,
        run_as=settings.run_as,
        custom_code=CustomCode(settings.allow_custom_images, settings.custom_image_prefixes),
    )
    key = OwnKey(api, settings.lease_namespace, f"{settings.lease_name}-key")
    platform = partial(platform_of, settings, Authorities(settings.ca_file), os.environ.get("KUBERNETES_SERVICE_HOST", ""))
    listed = ListedKinds(api, store, settings.namespaces)
    now = partial(datetime.now, UTC)
    context = Context(
        store,
        api,
        SecretReader(api),
        http,
        defaults,
        queue.add,
        now,
        probing,
        key.get,
        listing=listed.problem,
        platform=platform,
    )
    executor = Executor(api, store, ownership, events, metrics, WATCHED)
    slots = Slots(settings.workers)
    api.while_waiting = slots.parked
    worker = Worker(
        reconcilers,
        context,
        queue,
        executor,
        ownership,
        metrics,
        slots,
        state.rights,
        lists.hidden,
        settings.reconcile_timeout_seconds,
    )
    return Parts(settings, queue, lists, watch, worker, events, listed)


def platform_of(settings: Settings, authorities: Authorities, api_server: str) -> Platform:
    """Return what pods are fitted to now."""
    proxies = ({"name": name, "value": value} for name, value in settings.proxy.variables(api_server).items())
    choice: dict[str, str] = {}
    if settings.hub_xet == NEVER:
        choose_xet(NEVER, choice)
    return Platform(
        settings.image_pull_secrets,
        (*proxies, *parse_extra_env(settings.extra_env)),
        tuple({"name": name, "value": value} for name, value in choice.items()),
        authorities.read(),
    )


def take_effect(settings: Settings) -> None:
    """Let the libraries of this process know the proxies and authorities; requests to the Kubernetes API ask no proxy."""
    os.environ.update(settings.proxy.variables(os.environ.get("KUBERNETES_SERVICE_HOST", "")))
    if settings.ca_file:
        os.environ[CA_VARIABLE] = settings.ca_file


async def lead(parts: Parts, lease: Lease, stop: asyncio.Event) -> None:
    """Reconcile until we are asked to stop, or until a part ends that should go on for ever; then give the Lease back."""
    settings, queue, lists, watch, worker, events, listed = parts
    # All of ours start before kopf: when it stops, it waits for, then cancels, every task that was started after it.
    held = asyncio.create_task(lease.hold())
    stopping = asyncio.create_task(stop.wait())
    refilling = asyncio.create_task(lists.refill(settings.relist_seconds))
    filled, complete = asyncio.create_task(lists.filled.wait()), asyncio.create_task(lists.complete.wait())
    telling = asyncio.create_task(events.run())
    listing = asyncio.create_task(listed.refill(settings.relist_seconds))
    tasks, workers = {stopping, refilling, filled, complete, telling, listing}, set[asyncio.Task[Any]]()
    await first(held, stopping, refilling, filled)  # all is known before anything is decided
    if filled.done():
        workers = {asyncio.create_task(worker.run()) for _ in range(PARKED * settings.workers)}
        await first(held, stopping, refilling, complete, telling, *workers)  # kopf never looks for a kind that was missing
    if complete.done():
        ready = asyncio.Event()
        kopf_ready = asyncio.create_task(ready.wait())
        kopf = asyncio.create_task(watch.run(kopf_settings(settings.watch_seconds, SELECTORS), ready))
        tasks |= {kopf_ready, kopf}
        # In one of its first steps kopf puts its own in their place; they would wait 5 s for a pass that asks somebody.
        for _ in range(_FIRST_STEPS):
            await asyncio.sleep(0)
            take_signals(stop)
        await first(held, stopping, refilling, kopf, kopf_ready)
        take_signals(stop)
        log.info("watching", extra={"namespaces": ",".join(settings.namespaces) or "all"})
        await first(held, stopping, refilling, kopf, telling, listing, *workers)
        if kopf.done() and kopf.exception() is None:
            stop.set()  # a signal came while kopf still had its own handlers
    queue.close()
    await finish(workers, tasks, settings.stop_seconds)
    held.cancel()  # last, since a pass that ends may still write
    await asyncio.wait({held})
    await lease.release()


async def finish(workers: set[asyncio.Task[Any]], others: set[asyncio.Task[Any]], seconds: float) -> None:
    """Let passes that have begun end, then end everything; say why a part ended by itself."""
    if workers:
        await asyncio.wait(workers, timeout=seconds)
    for task in workers | others:
        if task.done() and not task.cancelled() and (error := task.exception()):
            log.error("a part ended by itself", exc_info=error)
        task.cancel()
    await asyncio.wait(workers | others, timeout=seconds)


def take_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT ask for a stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def first(*tasks: asyncio.Task[Any]) -> None:
    """Return when one of them has ended."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
