"""What may happen to pods on purpose: a node that is drained."""

from typing import Annotated

from pydantic import Field

from .base import ApiModel


class Disruption(ApiModel):
    """A PodDisruptionBudget around the pods. A change replaces no pod."""

    enabled: bool = True
    """Whether one is made. None is beside one of yours over the same pods, for Kubernetes would refuse every eviction."""
    max_unavailable: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many of the wanted pods may be missing at once. Pods that are not ready may always go."""
