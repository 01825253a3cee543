"""Whether any pod is wanted at all, and whether all that was asked for holds."""

from ...api.modeldeployment import ModelDeployment
from ...conditions import ConditionType, Reason, find, is_true


def idle_reason(model: ModelDeployment) -> Reason | None:
    """Return why no pod is wanted, or None when some are."""
    if model.spec.suspend:
        return Reason.SUSPENDED
    return Reason.SCALED_TO_ZERO if model.spec.replicas == 0 else None


def wanted_replicas(model: ModelDeployment) -> int:
    """Return how many pods the user wants."""
    return 0 if model.spec.suspend else model.spec.replicas


def is_at_rest(model: ModelDeployment) -> bool:
    """Return whether the status says of the newest spec that it holds, and that nothing is under way."""
    status, ready = model.status, find(model.status.conditions, ConditionType.READY)
    newest = ready is not None and ready.observed_generation == model.metadata.generation
    return (
        newest and is_true(status.conditions, ConditionType.READY) and not is_true(status.conditions, ConditionType.RECONCILING)
    )
