"""From an IpfsBackend to what a pod must know of it: where it is, how long to wait for it, which Secret or volume to mount."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from pinion_contract.config import Backend, CacheBackend, CircuitBreaker, GatewayBackend, KuboBackend, TokenRule

from ...api.ipfsbackend import IpfsBackend
from ...resources.kinds import Object
from ...resources.names import kubo_client_secret, kubo_gateway_url, kubo_rpc_url
from ...resources.pod_settings import TOKEN_KEY, TokenSecret
from ...resources.pod_volumes import hosts_path, shared_path, token_path


def to_message(backend: IpfsBackend, *, allow_local_addresses: bool) -> Backend:
    """Return the message; URLs of a daemon that the operator runs are its own, and need no permission."""
    spec, name = backend.spec, backend.metadata.name
    common: Mapping[str, Any] = {
        "name": name,
        "stall_timeout_seconds": spec.transfer.stall_timeout_seconds,
        "circuit_breaker": CircuitBreaker(**spec.circuit_breaker.model_dump()),
    }
    if spec.cache is not None:
        return CacheBackend(path=shared_path(name), **common)
    secret = secret_of(backend)
    token_file = token_path(name) if secret else ""
    if spec.external is None:
        namespace = backend.metadata.namespace
        rpc, gateway = kubo_rpc_url(name, namespace), kubo_gateway_url(name, namespace)
        return KuboBackend(rpc_url=rpc, gateway_url=gateway, token_file=token_file, allow_local_addresses=True, **common)
    external: Mapping[str, Any] = {
        "token_file": token_file,
        "token_rule": TokenRule(secret=secret.name, hosts_file=hosts_path(name)) if secret else None,
        "allow_local_addresses": allow_local_addresses,
        **common,
    }
    if spec.type == "TrustlessGateway":
        return GatewayBackend(gateway_urls=spec.external.gateway_urls, **external)
    return KuboBackend(rpc_url=spec.external.api_url, gateway_url=spec.external.gateway_urls[0], **external)


def secret_of(backend: IpfsBackend) -> TokenSecret | None:
    """Return the Secret with the bearer token that pods must mount; None when there is none."""
    if backend.spec.managed is not None:
        return TokenSecret(kubo_client_secret(backend.metadata.name), TOKEN_KEY, hosts=False)
    ref = backend.spec.external.auth_secret_ref if backend.spec.external else None
    return TokenSecret(ref.name, ref.key, hosts=True) if ref else None


def claim_of(backend: IpfsBackend) -> str:
    """Return the claim of the volume that pods must mount; "" when there is none."""
    return backend.spec.cache.claim_name if backend.spec.cache else ""


def readable(backends: Iterable[Object]) -> dict[str, IpfsBackend]:
    """Return by name those that this operator's schema accepts."""
    found: dict[str, IpfsBackend] = {}
    for obj in backends:
        with contextlib.suppress(ValidationError):
            found[obj["metadata"]["name"]] = IpfsBackend.parse(obj)
    return found


def can_pin(spec: Mapping[str, Any]) -> bool:
    """Return whether a backend of this raw spec can keep anything."""
    return spec.get("type") != "TrustlessGateway"
