"""The claim of a volume that outlives the pods: nobody's but the deployment's, and it stays unless told otherwise."""

from collections.abc import Mapping
from typing import Any

from .kinds import PERSISTENTVOLUMECLAIM, Object
from .model_names import cache_claim_name, selector_labels
from .owner import build_child

MADE_ACCESS_MODE = "ReadWriteOnce"  # where none is named


def build_cache_claim(owner: Object, *, size: str, storage_class_name: str, access_mode: str, goes_with_owner: bool) -> Object:
    """Return the claim; with an owner only if it is to be deleted with it."""
    name = owner["metadata"]["name"]
    spec: dict[str, Any] = {
        "accessModes": [access_mode or MADE_ACCESS_MODE],
        "resources": {"requests": {"storage": size}},
        **({"storageClassName": storage_class_name} if storage_class_name else {}),
    }
    kind, labels = PERSISTENTVOLUMECLAIM, selector_labels(name)
    built = build_child(owner, kind.api_version, kind.name, cache_claim_name(name), {"spec": spec}, labels=labels)
    if not goes_with_owner:
        del built["metadata"]["ownerReferences"]
    return built


def is_made_for(claim: Object, deployment: str) -> bool:
    """Return whether a claim was made for a deployment of this name, now or before."""
    labels: Mapping[str, str] = claim["metadata"].get("labels", {})
    return selector_labels(deployment).items() <= labels.items()
