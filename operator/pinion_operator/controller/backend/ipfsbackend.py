"""IpfsBackends for the worker: gathers what a decision needs, and remembers health checks between passes."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from pydantic import ValidationError

from ...api.ipfsbackend import IpfsBackend
from ...probes.kubo import KuboProbeError, Pins, list_pins, pin, unpin
from ...reconcile.backend.children import build_secrets, is_outdated
from ...reconcile.backend.decide import decide
from ...reconcile.backend.health import check_interval
from ...reconcile.backend.observed import GRACE_SECONDS, Health, ObservedBackend
from ...reconcile.backend.troubles import waiting_objects, wants_claim
from ...reconcile.backend.users import Rendered, User, has_answered, rendered_with, users_of, wanted_cids
from ...reconcile.mounts import is_being_created, mounted_secrets
from ...reconcile.plan import Plan
from ...resources.kinds import (
    CONTROLLERREVISION,
    IPFSBACKEND,
    MODELDEPLOYMENT,
    PERSISTENTVOLUMECLAIM,
    POD,
    STATEFULSET,
    Key,
    Kind,
    Object,
    Ref,
    ref_of,
)
from ...resources.kubo_secret import derive_credentials
from ...resources.names import BACKEND_LABEL, kubo_claim, kubo_name, kubo_rpc_url
from ...resources.owner import controller_of
from ..reconciler import Context
from ..secret_looks import SecretLooks
from ..store import key_of
from ..warning_events import WarningEvents, warnings_about
from .health_checks import Surroundings, check, daemon_of

_UNPIN_SECONDS = 30.0
_REPAIRS = 8  # pins made again in one look: each walks a whole model

log = logging.getLogger(__name__)


@dataclass
class _Memory:
    """What was seen of one daemon; bounded by its pins."""

    uid: str
    checked_at: datetime | None = None
    health: Health | None = None
    pins: Pins = field(default_factory=Pins)
    missing: frozenset[str] = frozenset()  # Secrets of ours that were not there
    unwanted_since: dict[str, datetime] = field(default_factory=dict)


class IpfsBackendReconciler:
    """Keeps one managed Kubo per IpfsBackend, and its pins equal to what ModelDeployments want."""

    def __init__(self, rpc_url: Callable[[str, str], str] = kubo_rpc_url, grace: float = GRACE_SECONDS) -> None:
        self._rpc_url, self._grace = rpc_url, grace  # (backend, namespace) -> URL; seconds
        self._memories: dict[Key, _Memory] = {}
        self._warning_events = WarningEvents()
        self._secret_looks = SecretLooks(at_start=True)

    @property
    def kind(self) -> Kind:
        """Return IpfsBackend."""
        return IPFSBACKEND

    async def observe(self, obj: Object, context: Context) -> ObservedBackend:
        """Gather children, Secrets, users and, when it is due, the result of a health check with the list of pins."""
        meta = obj["metadata"]
        backend, problem = _parse(obj)
        children = {ref_of(child): child for child in context.children(meta["uid"])}
        orphans = context.orphans(BACKEND_LABEL, meta["namespace"], meta["name"])
        users = _users(obj, context)
        memory = self._memory(obj)
        # To let it go nothing must be asked: a namespace that is deleted may have taken our rights in it already.
        goes = "deletionTimestamp" in meta and not any(user.blocks for user in users)
        managed = backend is not None and backend.spec.managed is not None and not goes
        credentials = derive_credentials(await context.key() if managed else b"", meta["uid"])
        around = Surroundings(children, orphans, credentials)
        missing = await self._missing(obj, around, memory, context) if managed else frozenset[str]()
        if backend is not None and not goes:
            await self._check_if_due(backend, around, memory, context)
        now = context.now()
        memory.unwanted_since = _unwanted(memory, users, now)
        seen = ObservedBackend(
            obj=obj,
            backend=backend,
            problem=problem,
            credentials=credentials,
            children=children,
            orphans=orphans,
            missing=missing,
            taken=context.taken,
            pods=_pods(obj, children, context),
            refused=context.refused,
            answers=context.answers,
            users=users,
            health=memory.health,
            unwanted={cid: (now - since).total_seconds() for cid, since in memory.unwanted_since.items()},
            grace=self._grace,
            next_check=_until_due(backend, memory, now) if backend else 0.0,
            kubo_image=context.defaults.kubo_image,
            operator_namespace=context.defaults.operator_namespace,
            image_pull_policy=context.defaults.image_pull_policy,
            platform=context.platform(),
            run_as=context.defaults.run_as,
            custom_code=context.defaults.custom_code,
        )
        if backend is None or not managed or memory.health is not None:
            self._warning_events.forget(key_of(obj))
            return seen
        return await self._with_what_waits(seen, backend, context)

    async def _with_what_waits(self, seen: ObservedBackend, backend: IpfsBackend, context: Context) -> ObservedBackend:
        """Look at the claim, and at what Kubernetes says in events: neither is watched, nor asked for once a pod is ready."""
        meta = backend.metadata
        if wants_claim(backend):
            claim = await context.api.get(PERSISTENTVOLUMECLAIM, (meta.namespace, kubo_claim(meta.name)))
            seen = replace(seen, claim=claim)
        waiting = waiting_objects(seen, backend)
        ask = partial(warnings_about, context.api)
        return replace(seen, warnings=await self._warning_events.look((meta.namespace, meta.name), waiting, ask))

    def decide(self, observed: ObservedBackend) -> Plan:
        """Return the plan."""
        return decide(observed)

    async def unpin(self, obj: Object, cids: tuple[str, ...], context: Context) -> None:
        """Take pins away that nobody wants, not even what has appeared since the decision; KuboProbeError when that fails."""
        meta, memory = obj["metadata"], self._memory(obj)
        credentials = derive_credentials(await context.key(), meta["uid"])
        url = self._rpc_url(meta["name"], meta["namespace"])
        for cid in cids:
            users = _users(obj, context)
            if cid in wanted_cids(users) or not all(user.settled for user in users):
                continue
            await unpin(meta["name"], url, credentials.operator_token, cid, _UNPIN_SECONDS)
            memory.pins = Pins(memory.pins.all - {cid}, memory.pins.ours - {cid})
            memory.unwanted_since.pop(cid, None)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a backend that is gone."""
        self._memories.pop(key, None)
        self._warning_events.forget(key)
        self._secret_looks.forget(key)

    def _memory(self, obj: Object) -> _Memory:
        key, uid = (obj["metadata"]["namespace"], obj["metadata"]["name"]), obj["metadata"]["uid"]
        known = self._memories.get(key)
        if known is None or known.uid != uid:
            known = self._memories[key] = _Memory(uid)
            self._secret_looks.forget(key)
        return known

    async def _missing(self, obj: Object, around: Surroundings, memory: _Memory, context: Context) -> frozenset[str]:
        """Return which of our two Secrets are not there. They are never read: whether a name is free is all that is asked."""
        wanted = build_secrets(obj, around.credentials)
        names = frozenset(one["metadata"]["name"] for one in wanted)
        pods = [pod for pod in context.list(POD, obj["metadata"]["namespace"]) if names & mounted_secrets(pod)]
        waits = any(is_being_created(pod) for pod in pods)
        due = self._secret_looks.due(key_of(obj), frozenset(pod["metadata"]["uid"] for pod in pods), waits=waits)
        if due or memory.missing or is_outdated(obj, around.workloads, around.credentials):
            with self._secret_looks.asking(key_of(obj)):
                memory.missing = frozenset([one["metadata"]["name"] for one in wanted if await context.api.is_free(one)])
        return memory.missing

    async def _check_if_due(self, backend: IpfsBackend, around: Surroundings, memory: _Memory, context: Context) -> None:
        if memory.checked_at is not None and _until_due(backend, memory, context.now()) > 0:
            if self._is_there(backend, around):
                return
            memory.health, memory.checked_at = None, None  # the first check comes as soon as a pod is ready
            return
        found = await check(backend, around, context, self._rpc_url)
        if found is None:
            memory.health, memory.checked_at = None, None
            return
        if found.cause and found.cause != (memory.health.check.cause if memory.health else ""):
            where = {"namespace": backend.metadata.namespace, "object": backend.metadata.name}
            log.warning("a backend is not asked", extra={**where, "cause": found.cause})
        failures = 0 if found.healthy else 1 + (memory.health.failures if memory.health else 0)
        proven = found.healthy or (memory.health is not None and memory.health.proven)
        memory.health, memory.checked_at = Health(found, failures, proven), context.now()
        if found.healthy and backend.spec.managed is not None:
            await self._look_at_pins(backend, around, memory, context)

    def _is_there(self, backend: IpfsBackend, around: Surroundings) -> bool:
        if backend.spec.managed is None:
            return True
        return daemon_of(backend, around, self._rpc_url) is not None

    async def _look_at_pins(self, backend: IpfsBackend, around: Surroundings, memory: _Memory, context: Context) -> None:
        """List the pins, and pin again what is wanted, is held whole and has lost its pin; once in each interval."""
        daemon, meta = daemon_of(backend, around, self._rpc_url), backend.metadata
        timeout = float(backend.spec.health_check.timeout_seconds)
        if daemon is None:
            return
        try:
            memory.pins = await list_pins(context.http, *daemon, timeout)
        except KuboProbeError:
            return  # the pins as they were known stay; the next check lists again
        wanted = wanted_cids(users_of(meta.name, context.list(MODELDEPLOYMENT, meta.namespace), Rendered()))
        for cid in sorted(wanted - memory.pins.all)[:_REPAIRS]:
            with contextlib.suppress(KuboProbeError):  # not held whole: the pods bring it, and pin it themselves
                await pin(meta.name, *daemon, cid, timeout)
                memory.pins = Pins(memory.pins.all | {cid}, memory.pins.ours | {cid})
                log.warning("a lost pin was made again", extra={"namespace": meta.namespace, "object": meta.name, "cid": cid})


def _pods(obj: Object, children: Mapping[Ref, Object], context: Context) -> tuple[Object, ...]:
    """Return the pods of this very StatefulSet: those of a predecessor, which may still end, have the same labels."""
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    workload = children.get(Ref(STATEFULSET, namespace, kubo_name(name)))
    tied = context.store.labelled(BACKEND_LABEL, namespace, name)
    makers = ((pod, controller_of(pod)) for pod in tied if pod["kind"] == POD.name)
    return tuple(pod for pod, maker in makers if workload and maker and maker["uid"] == workload["metadata"]["uid"])


def _users(obj: Object, context: Context) -> tuple[User, ...]:
    """Return who uses the backend; who was rendered with it counts, and is looked up, once it is to go."""
    namespace, name, rendered = obj["metadata"]["namespace"], obj["metadata"]["name"], Rendered()
    if "deletionTimestamp" in obj["metadata"] and has_answered(obj):
        revisions, pods = context.list(CONTROLLERREVISION, namespace), context.list(POD, namespace)
        rendered = rendered_with(name, revisions, pods)
    return users_of(name, context.list(MODELDEPLOYMENT, namespace), rendered)


def _parse(obj: Object) -> tuple[IpfsBackend | None, str]:
    try:
        return IpfsBackend.parse(obj), ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return None, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _until_due(backend: IpfsBackend, memory: _Memory, now: datetime) -> float:
    """Return the seconds until the next check; a whole interval when none can be made, for then an event will come first."""
    interval = check_interval(float(backend.spec.health_check.interval_seconds), memory.health)
    return interval if memory.checked_at is None else max(0.0, interval - (now - memory.checked_at).total_seconds())


def _unwanted(memory: _Memory, users: tuple[User, ...], now: datetime) -> dict[str, datetime]:
    """Return each pin of ours that nobody wants with the time since when that is so."""
    return {cid: memory.unwanted_since.get(cid, now) for cid in memory.pins.ours - wanted_cids(users)}
