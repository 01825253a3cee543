"""How many pods of a deployment a drained node may take at once."""

from typing import Any

from .kinds import PODDISRUPTIONBUDGET, Object
from .model_names import selector_labels
from .owner import build_child


def build_pod_disruption_budget(owner: Object, max_unavailable: int) -> dict[str, Any]:
    """Return the PodDisruptionBudget over the pods of all revisions."""
    name = owner["metadata"]["name"]
    labels = dict(selector_labels(name))
    spec = {
        "maxUnavailable": max_unavailable,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",  # a pod that crashes must not keep a node from being drained
        "selector": {"matchLabels": labels},
    }
    return build_child(owner, PODDISRUPTIONBUDGET.api_version, PODDISRUPTIONBUDGET.name, name, {"spec": spec}, labels=labels)
