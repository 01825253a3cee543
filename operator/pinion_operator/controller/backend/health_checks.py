"""One health check of an IpfsBackend, whatever its type: all I/O that it takes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from ...api.ipfsbackend import External, IpfsBackend
from ...cluster.errors import ForbiddenError
from ...probes.gateway import probe_gateways
from ...probes.kubo import probe_kubo
from ...probes.reach import policy_of, why_unasked
from ...probes.tokens import Credential, read_backend_token, refusal
from ...reconcile.backend.observed import Check
from ...reconcile.claim import unusable_claim
from ...resources.kinds import PERSISTENTVOLUMECLAIM, STATEFULSET, Object, Ref
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


async def check(
    backend: IpfsBackend, around: Surroundings, context: Context, rpc_url: Callable[[str, str], str]
) -> Check | None:
    """Return the result, or None while there is nothing to check: a managed daemon without a ready pod."""
    spec, meta = backend.spec, backend.metadata
    timeout = float(spec.health_check.timeout_seconds)
    if spec.cache is not None:
        claim = await context.api.get(PERSISTENTVOLUMECLAIM, (meta.namespace, spec.cache.claim_name))
        problem = unusable_claim(spec.cache.claim_name, claim)
        return Check(reachable=not problem, healthy=not problem, problem=problem)
    try:
        if spec.external is not None:
            return await _check_external(backend, spec.external, context, timeout)
    except Unreadable as error:
        return Check(reachable=False, healthy=False, problem=str(error))
    daemon = daemon_of(backend, around, rpc_url)
    return await probe_kubo(meta.name, daemon.url, daemon.token, timeout) if daemon is not None else None


async def _check_external(backend: IpfsBackend, external: External, context: Context, timeout: float) -> Check:
    """Ask what somebody else runs, as far as its token may be sent there and its URL leads where the operator asks."""
    name, policy = backend.metadata.name, policy_of(context.defaults.allowed_networks)
    credential = await _credential(backend, context)
    urls = external.gateway_urls if backend.spec.type == "TrustlessGateway" else (external.api_url,)
    refused = {url: f"{why}; until then what pods say of it counts" for url in urls if (why := refusal(credential, url))}
    others = [url for url in urls if url not in refused]
    causes = await asyncio.gather(*(why_unasked(url, policy, timeout) for url in others))
    unasked = refused | {url: policy.no_answer(url) for url, cause in zip(others, causes, strict=True) if cause}
    cause = "; ".join(filter(None, causes))
    if backend.spec.type == "TrustlessGateway":
        return replace(
            await probe_gateways(name, urls, unasked, credential.token, timeout, policy, _source_of_token(backend)), cause=cause
        )
    if unasked:
        return Check(reachable=False, healthy=False, problem=unasked[external.api_url], asked=False, cause=cause)
    return await probe_kubo(name, external.api_url, credential.token, timeout, policy, _source_of_token(backend))


def daemon_of(backend: IpfsBackend, around: Surroundings, rpc_url: Callable[[str, str], str]) -> Daemon | None:
    """Return the managed daemon of a backend; None while it has no ready pod."""
    meta = backend.metadata
    workload = around.children.get(Ref(STATEFULSET, meta.namespace, kubo_name(meta.name)))
    if workload is None or not workload.get("status", {}).get("readyReplicas"):
        return None
    return Daemon(rpc_url(meta.name, meta.namespace), around.credentials.operator_token)


def _source_of_token(backend: IpfsBackend) -> str:
    ref = backend.spec.external.auth_secret_ref if backend.spec.external else None
    return f"Secret {ref.name!r}" if ref else "authSecretRef, which names no Secret"


async def _credential(backend: IpfsBackend, context: Context) -> Credential:
    """Return the bearer token that an external backend names, an empty one when it names none."""
    ref = backend.spec.external.auth_secret_ref if backend.spec.external else None
    if ref is None:
        return Credential()
    namespace = backend.metadata.namespace
    try:
        secret = await context.secrets.get((namespace, ref.name))
    except ForbiddenError as error:  # an API server that does not answer says nothing of the backend
        raise Unreadable(f"Secret {ref.name} cannot be read: {error}; a Role of {namespace} must let the operator") from error
    if secret is None:
        raise Unreadable(f"Secret {ref.name} does not exist")
    credential = read_backend_token(secret, ref.name, ref.key, namespace)
    if not credential.token:
        raise Unreadable(f"Secret {ref.name} has no token under the key {ref.key}")
    return credential
