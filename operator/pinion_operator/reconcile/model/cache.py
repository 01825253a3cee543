"""The volume that holds the pods' copy of the model: whether and by how many pods it can be mounted, and what fits."""

from ...api.cache import CacheClaim
from ...api.modeldeployment import ModelDeployment
from ...resources.cache_claim import MADE_ACCESS_MODE, build_cache_claim
from ...resources.kinds import Object
from ...resources.model_names import cache_claim_name
from ..claim import unusable_claim
from ..quantity import parse_quantity
from .idle import wanted_replicas
from .observed import Observed

_BY_MANY = {"ReadWriteMany", "ReadOnlyMany"}


def cache_claim(model: ModelDeployment) -> str:
    """Return the claim that pods mount at $HF_HOME; "" = an emptyDir."""
    wanted = model.spec.storage.cache.pvc
    return "" if wanted is None else wanted.claim_name or cache_claim_name(model.metadata.name)


def wanted_cache_claim(seen: Observed, model: ModelDeployment) -> Object | None:
    """Return the claim that has to be made; None where there is none, or it is somebody else's."""
    wanted = model.spec.storage.cache.pvc
    if wanted is None or wanted.claim_name:
        return None
    return build_cache_claim(
        seen.obj,
        size=wanted.size,
        storage_class_name=wanted.storage_class_name,
        access_mode=wanted.access_mode,
        goes_with_owner=wanted.reclaim_policy == "Delete",
    )


def unusable_cache(seen: Observed, model: ModelDeployment) -> str:
    """Return why pods could not mount the volume, "" when they can, or when it is about to be made."""
    wanted = model.spec.storage.cache.pvc
    if wanted is None or (seen.cache_claim is None and not wanted.claim_name):
        return ""
    problem = unusable_claim(cache_claim(model), seen.cache_claim)
    return f"spec.storage.cache.pvc: {problem}" if problem else ""


def is_for_one_pod(seen: Observed, model: ModelDeployment) -> bool:
    """Return whether the volume can be mounted by one pod alone, or on one node, which is not for us to rely on."""
    wanted = model.spec.storage.cache.pvc
    return wanted is not None and not _BY_MANY & set(_access_modes(seen, wanted))


def too_many_pods(model: ModelDeployment, *, one_pod: bool) -> str:
    """Return a sentence when more pods are wanted than can mount the volume, "" when not."""
    replicas = wanted_replicas(model)
    if not one_pod or replicas <= 1:
        return ""
    return (
        f"{replicas} replicas are wanted, and the volume of PersistentVolumeClaim {cache_claim(model)} can be mounted by one "
        "pod: set spec.replicas to 1 (an autoscaler's maximum too), or use a claim with access mode ReadWriteMany"
    )


def too_small(seen: Observed, model: ModelDeployment, needed: int) -> str:
    """Return a sentence with both numbers when the model cannot fit into its cache, "" when it may."""
    cache, limits = model.spec.storage.cache, model.spec.runtime.resources.limits
    on_the_node = str(limits.get("ephemeral-storage", 0))
    if cache.pvc is None and parse_quantity(on_the_node):  # 0 is no limit, to Kubernetes
        field, limit = "spec.runtime.resources.limits.ephemeral-storage is", on_the_node
        if cache.size_limit and parse_quantity(cache.size_limit) < parse_quantity(limit):
            field, limit = "spec.storage.cache.sizeLimit is", cache.size_limit
    elif cache.size_limit:
        field, limit = "spec.storage.cache.sizeLimit is", cache.size_limit
    elif cache.pvc is not None and cache.pvc.size:
        field, limit = "spec.storage.cache.pvc.size is", cache.pvc.size
    elif cache.pvc is not None and (capacity := _capacity(seen.cache_claim)):
        field, limit = f"PersistentVolumeClaim {cache.pvc.claim_name} has", capacity
    else:
        return ""
    room = int(parse_quantity(limit))
    return f"the model needs {needed} bytes, {field} {room} bytes ({limit}): nothing was downloaded" if room < needed else ""


def _access_modes(seen: Observed, wanted: CacheClaim) -> tuple[str, ...]:
    if not wanted.claim_name:
        return (wanted.access_mode or MADE_ACCESS_MODE,)
    return tuple((seen.cache_claim or {}).get("spec", {}).get("accessModes", ()))


def _capacity(claim: Object | None) -> str:
    return str((claim or {}).get("status", {}).get("capacity", {}).get("storage", ""))
