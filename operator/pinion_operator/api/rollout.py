"""How one revision replaces another."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ApiModel, rules

_RULES = rules(
    (
        "!has(self.maxSurge) || !has(self.maxUnavailable) || self.maxSurge > 0 || self.maxUnavailable > 0",
        "maxSurge and maxUnavailable must not both be 0: no pod could be replaced",
    )
)


class Rollout(ApiModel):
    """How one revision replaces another. A change replaces no pod."""

    model_config = ConfigDict(json_schema_extra=_RULES)

    max_surge: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods that may run beside the wanted number. New bytes start with one pod, the others once their CID is known."""
    max_unavailable: Annotated[int, Field(ge=0, le=1000)] = 0
    """Pods of the wanted number that may be missing."""
    progress_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 1800
    """Stalled after this time without progress: no byte brought, no stage passed, no pod become ready."""
    revision_history_limit: Annotated[int, Field(ge=0, le=10)] = 3
    """Older revisions that are kept, with their pins: going back to one of them fetches nothing from the hub."""
