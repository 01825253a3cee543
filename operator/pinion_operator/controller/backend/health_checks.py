"""One health check of an IpfsBackend, whatever its type: all I/O that it takes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ...api.ipfsbackend import IpfsBackend
from ...cluster.errors import ApiError
from ...probes.gateway import probe_gateways
from ...probes.kubo import probe_kubo
from ...probes.tokens import Credential, read_backend_token, refusal
from ...reconcile.backend.observed import Check
from ...reconcile.claim import unusable_claim
from ...resources.kinds import PERSISTENTVOLUMECLAIM, SECRET, STATEFULSET, Object, Ref
from ...resources.kubo_secret import Credentials
from ...resources.names import kubo_name
from ..reconciler import Context


class Daemon(NamedTuple):
    """Where a Kubo's RPC API is, and the token that may call it."""

    url: str
    token: str


class Surroundings(NamedTuple):
    """What a managed daemon consists of."""

    children: Mapping[Ref, Object]
    orphans: Mapping[Ref, Object]  # that a predecessor has left
    credentials: Credentials

    @property
    def workloads(self) -> Mapping[Ref, Object]:
        """Return the children, and what a predecessor has left of them."""
        return {**self.orphans, **self.children}


class Unreadable(Exception):
    """The Secret that a backend names can't be read; the message says what to do."""


class NotAsked(Exception):
    """The operator does not ask a backend; the message says why, and what to do."""


async def check(
    backend: IpfsBackend, around: Surroundings, context: Context, rpc_url: Callable[[str, str], str]
) -> Check | None:
    """Return the result, or None while there is nothing to check: a managed daemon without a ready pod."""
    spec, meta = backend.spec, backend.metadata
    timeout, local = float(spec.health_check.timeout_seconds), context.defaults.allow_local_addresses
    if spec.cache is not None:
        claim = await context.api.get(PERSISTENTVOLUMECLAIM, (meta.namespace, spec.cache.claim_name))
        problem = unusable_claim(spec.cache.claim_name, claim)
        return Check(reachable=not problem, healthy=not problem, problem=problem)
    try:
        if spec.type == "TrustlessGateway" and spec.external is not None:
            credential = await _credential(backend, context)
            urls = _permitted(credential, spec.external.gateway_urls)
            return await probe_gateways(meta.name, urls, credential.token, timeout, allow_local_addresses=local)
        daemon = await daemon_of(backend, around, context, rpc_url)
    except Unreadable as error:
        return Check(reachable=False, healthy=False, problem=str(error))
    except NotAsked as error:
        return Check(reachable=False, healthy=False, problem=f"{error}; until then what pods say of it counts", asked=False)
    if daemon is None:
        return None
    ours = spec.managed is not None
    return await probe_kubo(meta.name, daemon.url, daemon.token, timeout, allow_local_addresses=local or ours, ours=ours)


async def daemon_of(
    backend: IpfsBackend, around: Surroundings, context: Context, rpc_url: Callable[[str, str], str]
) -> Daemon | None:
    """Return the daemon of a backend of type Kubo; None while a managed one has no ready pod. Raises Unreadable, NotAsked."""
    meta = backend.metadata
    if backend.spec.external is not None:
        credential = await _credential(backend, context)
        (url,) = _permitted(credential, (backend.spec.external.api_url,))
        return Daemon(url, credential.token)
    workload = around.children.get(Ref(STATEFULSET, meta.namespace, kubo_name(meta.name)))
    if workload is None or not workload.get("status", {}).get("readyReplicas"):
        return None
    return Daemon(rpc_url(meta.name, meta.namespace), around.credentials.operator_token)


def _permitted(credential: Credential, urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the URLs that the token may be sent to; raise NotAsked when there is none."""
    refused = {url: refusal(credential, url) for url in urls}
    if all(refused.values()):
        raise NotAsked(next(iter(refused.values())))
    return tuple(url for url, why in refused.items() if not why)


async def _credential(backend: IpfsBackend, context: Context) -> Credential:
    """Return the bearer token that an external backend names, an empty one when it names none."""
    ref = backend.spec.external.auth_secret_ref if backend.spec.external else None
    if ref is None:
        return Credential()
    namespace = backend.metadata.namespace
    try:
        secret = await context.api.get(SECRET, (namespace, ref.name))
    except ApiError as error:
        raise Unreadable(f"Secret {ref.name} cannot be read: {error}; a Role of {namespace} must let the operator") from error
    if secret is None:
        raise Unreadable(f"Secret {ref.name} does not exist")
    credential = read_backend_token(secret, ref.name, ref.key, namespace)
    if not credential.token:
        raise Unreadable(f"Secret {ref.name} has no token under the key {ref.key}")
    return credential
