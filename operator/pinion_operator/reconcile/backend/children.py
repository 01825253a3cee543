"""The children of a managed Kubo: what is missing, and what is not as it should be."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from ...api.ipfsbackend import IpfsBackend, IpfsBackendSpec, Managed
from ...resources.kinds import SECRET, STATEFULSET, Object, Ref, ref_of
from ...resources.kubo_configmap import SCRIPT, build_kubo_configmap
from ...resources.kubo_networkpolicy import build_kubo_network_policy
from ...resources.kubo_secret import (
    Credentials,
    build_kubo_client_secret,
    build_kubo_secret,
    kubo_secret_name,
)
from ...resources.kubo_service import build_kubo_service
from ...resources.kubo_statefulset import KuboSettings, build_kubo_statefulset, mounted_secret
from ...resources.names import kubo_client_secret, kubo_name
from ...resources.owner import digest
from ..orphans import agreeing
from ..pending import Pending
from ..probes import to_times
from ..quantity import parse_quantity
from .observed import ObservedBackend

ResourceList = Mapping[str, int | str]

_REQUESTS: ResourceList = {"cpu": "100m", "memory": "256Mi"}
_LIMITS: ResourceList = {"memory": "1Gi"}
_PLACEMENT = {"node_selector", "tolerations", "affinity", "priority_class_name"}


def pending_children(seen: ObservedBackend, backend: IpfsBackend) -> Pending:
    """Return what to make and to apply; nothing at all while a name is taken by a stranger, or the image may not run."""
    if seen.taken or refuse_image(seen, backend.spec):
        return Pending()
    if is_claim_going(seen):
        return Pending()  # the daemon would start with the volume that is about to go
    secrets = build_secrets(seen.obj, seen.credentials)
    create = tuple(secret for secret in secrets if secret["metadata"]["name"] in seen.missing)
    if old := _outdated(seen):
        return Pending(delete=old)
    wanted = (
        build_kubo_configmap(seen.obj, seen.platform.authorities),
        build_kubo_service(seen.obj),
        build_kubo_network_policy(seen.obj, seen.operator_namespace),
        build_kubo_statefulset(seen.obj, settings_of(seen, backend.spec)),
    )
    admission = seen.admission
    changed = tuple(child for child in wanted if not admission.accepts(seen.children.get(ref_of(child)), child))
    mutated = (admission.mutation(seen.children.get(ref_of(child)), child) for child in wanted)
    return Pending(create=create, apply=changed, mutated=tuple(one for one in mutated if one))


def adoptable_children(seen: ObservedBackend, wanted: Sequence[Object]) -> frozenset[Ref]:
    """Return which of the wanted children may be orphans that are taken over."""
    return agreeing(seen.orphans, wanted)


def is_claim_going(seen: ObservedBackend) -> bool:
    """Return whether a predecessor's volume is still on its way out, and no daemon of ours is there."""
    ref = _statefulset(seen.obj)
    leaving = seen.claim is not None and "deletionTimestamp" in seen.claim["metadata"]
    return leaving and ref not in seen.children and ref not in seen.orphans


def refuse_image(seen: ObservedBackend, spec: IpfsBackendSpec) -> str:
    """Return why the daemon's image may not run, "" when it may; one that runs already goes on."""
    image = spec.managed.image if spec.managed else ""
    workload = seen.workloads.get(_statefulset(seen.obj))
    if image and workload and image == workload["spec"]["template"]["spec"]["containers"][0]["image"]:
        return ""
    return seen.custom_code.refuse_image("spec.managed.image", image, seen.kubo_image)


def build_secrets(owner: Object, credentials: Credentials) -> tuple[Object, ...]:
    """Return the two Secrets: of the daemon, and of the pods that pin in it."""
    return build_kubo_secret(owner, credentials), build_kubo_client_secret(owner, credentials.client_token)


def is_outdated(owner: Object, children: Mapping[Ref, Object], credentials: Credentials) -> bool:
    """Return whether the daemon was told something else: by an operator with another key, or for a predecessor."""
    mounted, name = _mounted(owner, children), owner["metadata"]["name"]
    return mounted.startswith(f"{kubo_name(name)}-") and mounted != kubo_secret_name(name, credentials)


def _outdated(seen: ObservedBackend) -> tuple[Ref, ...]:
    """Return the Secrets of a daemon that was told something else, while they are there.

    They go before the StatefulSet is told of the new ones: whatever is cut off in between, the pods' Secret is made again.
    """
    namespace, client = seen.obj["metadata"]["namespace"], kubo_client_secret(seen.obj["metadata"]["name"])
    if client in seen.missing or not is_outdated(seen.obj, seen.workloads, seen.credentials):
        return ()
    return Ref(SECRET, namespace, _mounted(seen.obj, seen.workloads)), Ref(SECRET, namespace, client)


def _mounted(owner: Object, children: Mapping[Ref, Object]) -> str:
    workload = children.get(_statefulset(owner))
    return mounted_secret(workload) if workload else ""


def _statefulset(owner: Object) -> Ref:
    return Ref(STATEFULSET, owner["metadata"]["namespace"], kubo_name(owner["metadata"]["name"]))


def settings_of(seen: ObservedBackend, spec: IpfsBackendSpec) -> KuboSettings:
    """Return what shapes the pod, from the spec and the operator's defaults."""
    managed, credentials = spec.managed or Managed(), seen.credentials
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
        secret_name=kubo_secret_name(seen.obj["metadata"]["name"], credentials),
        config_digest=digest(script_and_secrets),
        probes=to_times(managed.probes),
        image_pull_secrets=tuple(secret.name for secret in managed.image_pull_secrets),
        platform=seen.platform,
        placement=managed.model_dump(mode="json", include=_PLACEMENT, exclude_defaults=True),
        ids_from_cluster=(managed.run_as or seen.run_as) == "Cluster",
    )


def _fitted(
    defaults: ResourceList, bounds: ResourceList, better: Callable[[Decimal, Decimal], Decimal]
) -> dict[str, int | str]:
    """Return the defaults; where `better` prefers the bound of that name, the bound."""

    def fit(default: int | str, bound: int | str) -> int | str:
        ours, theirs = parse_quantity(str(default)), parse_quantity(str(bound))
        return default if better(ours, theirs) == ours else bound

    return {name: fit(value, bounds.get(name, value)) for name, value in defaults.items()}
