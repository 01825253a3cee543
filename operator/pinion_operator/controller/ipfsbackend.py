"""IpfsBackends for the worker: gathers what a decision needs, and remembers health checks between passes."""

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from ..api.ipfsbackend import IpfsBackend
from ..probes.kubo import KuboProbeError, list_pins, probe_kubo, unpin
from ..reconcile.backend_health import check_interval
from ..reconcile.ipfsbackend import decide
from ..reconcile.observed_backend import GRACE_SECONDS, Health, ObservedBackend
from ..reconcile.plan import Plan
from ..reconcile.users import User, users_of, wanted_cids
from ..resources.kinds import IPFSBACKEND, MODELDEPLOYMENT, POD, SECRET, STATEFULSET, Key, Kind, Object, Ref, ref_of
from ..resources.kubo_secret import Credentials, format_swarm_key, read_credentials
from ..resources.names import BACKEND_LABEL, kubo_client_secret, kubo_name, kubo_rpc_url
from ..resources.owner import is_owned
from .reconciler import Context

_UNPIN_SECONDS = 30.0


@dataclass
class _Memory:
    """What was seen of one daemon; bounded by its pins."""

    uid: str
    checked_at: datetime | None = None
    health: Health | None = None
    pins: frozenset[str] = frozenset()
    unwanted_since: dict[str, datetime] = field(default_factory=dict)


class IpfsBackendReconciler:
    """Keeps one managed Kubo per IpfsBackend, and its pins equal to what ModelDeployments want."""

    def __init__(self, rpc_url: Callable[[str, str], str] = kubo_rpc_url, grace: float = GRACE_SECONDS) -> None:
        self._rpc_url, self._grace = rpc_url, grace  # (backend, namespace) -> URL; seconds
        self._memories: dict[Key, _Memory] = {}

    @property
    def kind(self) -> Kind:
        """Return IpfsBackend."""
        return IPFSBACKEND

    async def observe(self, obj: Object, context: Context) -> ObservedBackend:
        """Gather children, Secrets, users and, when it is due, the result of a health check with the list of pins."""
        meta = obj["metadata"]
        backend, problem = _parse(obj)
        children = {ref_of(child): child for child in context.children(meta["uid"])}
        children |= await self._secrets(obj, context)
        users = users_of(meta["name"], context.list(MODELDEPLOYMENT, meta["namespace"]))
        memory = self._memory(obj)
        if backend is not None:
            await self._check_if_due(backend, children, memory, context)
        now = context.now()
        memory.unwanted_since = _unwanted(memory, users, now)
        return ObservedBackend(
            obj=obj,
            backend=backend,
            problem=problem,
            fresh=_fresh_credentials(),
            children=children,
            taken=context.taken,
            pods=context.list(POD, meta["namespace"], {BACKEND_LABEL: meta["name"]}),
            users=users,
            health=memory.health,
            unwanted={cid: (now - since).total_seconds() for cid, since in memory.unwanted_since.items()},
            grace=self._grace,
            next_check=_until_due(backend, memory, now) if backend else 0.0,
            kubo_image=context.defaults.kubo_image,
            image_pull_policy=context.defaults.image_pull_policy,
        )

    def decide(self, observed: ObservedBackend) -> Plan:
        """Return the plan."""
        return decide(observed)

    async def unpin(self, obj: Object, cids: tuple[str, ...], context: Context) -> None:
        """Take pins away that nobody wants, not even what has appeared since the decision; KuboProbeError when that fails."""
        meta, memory = obj["metadata"], self._memory(obj)
        credentials = _credentials(await self._secrets(obj, context), obj)
        if credentials is None:
            raise KuboProbeError(f"{meta['namespace']}/{meta['name']}: the Secret with the operator's token is gone")
        url = self._rpc_url(meta["name"], meta["namespace"])
        for cid in cids:
            users = users_of(meta["name"], context.list(MODELDEPLOYMENT, meta["namespace"]))
            if cid in wanted_cids(users) or not all(user.settled for user in users):
                continue
            await unpin(meta["name"], url, credentials.operator_token, cid, _UNPIN_SECONDS)
            memory.pins -= {cid}
            memory.unwanted_since.pop(cid, None)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a backend that is gone."""
        self._memories.pop(key, None)

    def _memory(self, obj: Object) -> _Memory:
        key, uid = (obj["metadata"]["namespace"], obj["metadata"]["name"]), obj["metadata"]["uid"]
        known = self._memories.get(key)
        if known is None or known.uid != uid:
            known = self._memories[key] = _Memory(uid)
        return known

    async def _secrets(self, obj: Object, context: Context) -> dict[Ref, Object]:
        """Return those of our two Secrets that exist and are ours; they are not watched, so that no right to list is needed."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        found: dict[Ref, Object] = {}
        for secret_name in (kubo_name(name), kubo_client_secret(name)):
            secret = await context.api.get(SECRET, (namespace, secret_name))
            if secret is not None and is_owned(secret, obj):
                found[Ref(SECRET, namespace, secret_name)] = secret
        return found

    async def _check_if_due(
        self, backend: IpfsBackend, children: Mapping[Ref, Object], memory: _Memory, context: Context
    ) -> None:
        meta, settings = backend.metadata, backend.spec.health_check
        workload = children.get(Ref(STATEFULSET, meta.namespace, kubo_name(meta.name)))
        credentials = read_credentials(children.get(Ref(SECRET, meta.namespace, kubo_name(meta.name)), {}))
        if workload is None or credentials is None or not workload.get("status", {}).get("readyReplicas"):
            memory.health, memory.checked_at = None, None  # the first check comes as soon as a pod is ready
            return
        if memory.checked_at is not None and _until_due(backend, memory, context.now()) > 0:
            return
        url, token, limit = (
            self._rpc_url(meta.name, meta.namespace),
            credentials.operator_token,
            float(settings.timeout_seconds),
        )
        check = await probe_kubo(context.http, meta.name, url, token, limit)
        failures = 0 if check.healthy else 1 + (memory.health.failures if memory.health else 0)
        proven = check.healthy or (memory.health is not None and memory.health.proven)
        memory.health, memory.checked_at = Health(check, failures, proven), context.now()
        if check.healthy:
            with contextlib.suppress(KuboProbeError):  # the pins as they were known stay; the next check lists again
                memory.pins = await list_pins(context.http, url, token, limit)


def _parse(obj: Object) -> tuple[IpfsBackend | None, str]:
    try:
        return IpfsBackend.parse(obj), ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return None, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _credentials(secrets_: Mapping[Ref, Object], obj: Object) -> Credentials | None:
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    secret = secrets_.get(Ref(SECRET, namespace, kubo_name(name)))
    return read_credentials(secret) if secret else None


def _fresh_credentials() -> Credentials:
    return Credentials(format_swarm_key(secrets.token_bytes(32)), secrets.token_hex(32), secrets.token_hex(32))


def _until_due(backend: IpfsBackend, memory: _Memory, now: datetime) -> float:
    """Return the seconds until the next check; a whole interval when none can be made, for then an event will come first."""
    interval = check_interval(float(backend.spec.health_check.interval_seconds), memory.health)
    return interval if memory.checked_at is None else max(0.0, interval - (now - memory.checked_at).total_seconds())


def _unwanted(memory: _Memory, users: tuple[User, ...], now: datetime) -> dict[str, datetime]:
    """Return each pin that nobody wants with the time since when that is so."""
    return {cid: memory.unwanted_since.get(cid, now) for cid in memory.pins - wanted_cids(users)}
