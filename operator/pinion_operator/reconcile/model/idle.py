"""Whether any pod is wanted at all."""

from ...api.modeldeployment import ModelDeployment
from ...conditions import Reason


def idle_reason(model: ModelDeployment) -> Reason | None:
    """Return why no pod is wanted, or None when some are."""
    if model.spec.suspend:
        return Reason.SUSPENDED
    return Reason.SCALED_TO_ZERO if model.spec.replicas == 0 else None


def wanted_replicas(model: ModelDeployment) -> int:
    """Return how many pods the user wants."""
    return 0 if model.spec.suspend else model.spec.replicas
