"""The children of a managed Kubo: what is missing, and what is not as it should be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ..api.ipfsbackend import IpfsBackend, IpfsBackendSpec
from ..resources.kinds import SECRET, Object, Ref, ref_of
from ..resources.kubo_configmap import SCRIPT, build_kubo_configmap
from ..resources.kubo_secret import (
    Credentials,
    build_kubo_client_secret,
    build_kubo_secret,
    read_client_token,
    read_credentials,
)
from ..resources.kubo_service import build_kubo_service
from ..resources.kubo_statefulset import KuboSettings, build_kubo_statefulset
from ..resources.names import kubo_client_secret, kubo_name
from ..resources.owner import digest
from .drift import covers
from .observed_backend import ObservedBackend
from .quantity import parse_quantity

ResourceList = Mapping[str, int | str]

_REQUESTS: ResourceList = {"cpu": "100m", "memory": "256Mi"}
_LIMITS: ResourceList = {"memory": "1Gi"}


@dataclass(frozen=True)
class Children:
    """What to make and to apply; nothing when all is as it should be."""

    create: tuple[Object, ...] = ()
    apply: tuple[Object, ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether there is nothing to do."""
        return not self.create and not self.apply


def want_children(seen: ObservedBackend, backend: IpfsBackend) -> Children:
    """Return what to make and to apply; nothing at all while a name is taken by a stranger."""
    if seen.taken:
        return Children()
    create: list[Object] = []
    name = backend.metadata.name
    secret, client_secret = _secret(seen, kubo_name(name)), _secret(seen, kubo_client_secret(name))
    credentials = read_credentials(secret) if secret else None
    if credentials is None:
        # Runtime pods hold the client token: it stays, if it is still there, when Kubo's own Secret was lost.
        token = read_client_token(client_secret) if client_secret else ""
        fresh = seen.fresh
        credentials = Credentials(fresh.swarm_key, fresh.operator_token, token or fresh.client_token)
        create.append(build_kubo_secret(seen.obj, credentials))
    if client_secret is None:
        create.append(build_kubo_client_secret(seen.obj, credentials.client_token))
    wanted = (
        build_kubo_configmap(seen.obj),
        build_kubo_service(seen.obj),
        build_kubo_statefulset(seen.obj, settings_of(seen, backend.spec, credentials)),
    )
    changed = tuple(child for child in wanted if not covers(seen.children.get(ref_of(child)), child))
    return Children(tuple(create), changed)


def settings_of(seen: ObservedBackend, spec: IpfsBackendSpec, credentials: Credentials) -> KuboSettings:
    """Return what shapes the pod, from the spec and the operator's defaults."""
    managed = spec.managed
    # Each default gives way to what the user says of the other side.
    limits = {**_fitted(_LIMITS, managed.resources.requests, max), **managed.resources.limits}
    requests = {**_fitted(_REQUESTS, managed.resources.limits, min), **managed.resources.requests}
    # Below the limit: Go's collector works harder before the kernel kills.
    target = int(parse_quantity(str(limits["memory"])) * 8 // 10)
    script_and_secrets = (SCRIPT, credentials.swarm_key, credentials.operator_token, credentials.client_token)
    return KuboSettings(
        image=managed.image or seen.kubo_image,
        image_pull_policy=seen.image_pull_policy,
        resources={"requests": requests, "limits": limits},
        memory_target_bytes=target,
        storage_type=managed.storage.type,
        storage_size=managed.storage.size,
        storage_class_name=managed.storage.storage_class_name,
        storage_max_bytes=int(parse_quantity(managed.storage.size) * 9 // 10),
        reclaim_policy=spec.reclaim_policy,
        config_digest=digest(script_and_secrets),
    )


def _fitted(
    defaults: ResourceList, bounds: ResourceList, better: Callable[[Decimal, Decimal], Decimal]
) -> dict[str, int | str]:
    """Return the defaults; where `better` prefers the bound of that name, the bound."""

    def fit(default: int | str, bound: int | str) -> int | str:
        ours, theirs = parse_quantity(str(default)), parse_quantity(str(bound))
        return default if better(ours, theirs) == ours else bound

    return {name: fit(value, bounds.get(name, value)) for name, value in defaults.items()}


def _secret(seen: ObservedBackend, name: str) -> Object | None:
    return seen.children.get(Ref(SECRET, seen.obj["metadata"]["namespace"], name))
