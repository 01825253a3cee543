"""How patiently the kubelet asks pods how they are; what it asks is not a user's to say."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ApiModel, rules

Delay = Annotated[int, Field(ge=0, le=600)]
Period = Annotated[int, Field(ge=1, le=300)]
Timeout = Annotated[int, Field(ge=1, le=60)]
Failures = Annotated[int, Field(ge=1, le=100)]
# The API server tries the rules on the default `{}` too, and before it fills in what that lacks.
_SAID = "!has(self.periodSeconds) || !has(self.failureThreshold) || "
STARTUP_RULES = rules(
    (
        _SAID + "self.periodSeconds * self.failureThreshold >= 30",
        "periodSeconds times failureThreshold must be at least 30: else a pod on a busy node is killed before it can answer",
    )
)
LIVENESS_RULES = rules(
    (
        _SAID + "self.periodSeconds * self.failureThreshold >= 10",
        "periodSeconds times failureThreshold must be at least 10: else a pod that is busy for a moment is killed",
    )
)


class StartupProbe(ApiModel):
    """Until it has succeeded once, the others wait; when it fails too often, the pod is started again."""

    model_config = ConfigDict(json_schema_extra=STARTUP_RULES)

    initial_delay_seconds: Delay = 0
    """Seconds after the start before it is asked first."""
    period_seconds: Period = 1
    """Seconds between two questions."""
    timeout_seconds: Timeout = 2
    """An answer that takes longer is a failure."""
    failure_threshold: Annotated[int, Field(ge=1, le=7200)] = 120
    """Failures in a row until the pod is started again. How long a model takes to load does not count."""


class ReadinessProbe(ApiModel):
    """While it fails, the pod gets no requests."""

    initial_delay_seconds: Delay = 0
    """Seconds after the start before it is asked first."""
    period_seconds: Period = 1
    """Seconds between two questions."""
    timeout_seconds: Timeout = 2
    """An answer that takes longer is a failure."""
    failure_threshold: Failures = 2
    """Failures in a row until the pod gets no more requests."""


class LivenessProbe(ApiModel):
    """When it fails too often, the pod is started again."""

    model_config = ConfigDict(json_schema_extra=LIVENESS_RULES)

    initial_delay_seconds: Delay = 0
    """Seconds after the start before it is asked first."""
    period_seconds: Period = 10
    """Seconds between two questions."""
    timeout_seconds: Timeout = 5
    """An answer that takes longer is a failure."""
    failure_threshold: Failures = 6
    """Failures in a row until the pod is started again."""


class Probes(ApiModel):
    """How patiently the kubelet asks pods how they are. A change replaces the pods."""

    startup: StartupProbe = StartupProbe()
    """Whether the pod's server is up."""
    readiness: ReadinessProbe = ReadinessProbe()
    """Whether the pod answers requests."""
    liveness: LivenessProbe = LivenessProbe()
    """Whether the pod's server is still alive."""


class DaemonStartupProbe(StartupProbe):
    """Until it has succeeded once, the others wait; when it fails too often, the daemon is started again."""

    timeout_seconds: Timeout = 3
    """An answer that takes longer is a failure."""
    failure_threshold: Annotated[int, Field(ge=1, le=7200)] = 300
    """Failures in a row until the daemon is started again: a large repository that is migrated takes its time."""


class DaemonReadinessProbe(ReadinessProbe):
    """While it fails, the daemon is asked for nothing."""

    period_seconds: Period = 5
    """Seconds between two questions."""
    timeout_seconds: Timeout = 3
    """An answer that takes longer is a failure."""
    failure_threshold: Failures = 3
    """Failures in a row until it is asked for nothing more."""


class DaemonLivenessProbe(LivenessProbe):
    """When it fails too often, the daemon is started again."""

    period_seconds: Period = 20
    """Seconds between two questions."""
    timeout_seconds: Timeout = 10
    """An answer that takes longer is a failure."""


class DaemonProbes(ApiModel):
    """How patiently the kubelet asks the daemon how it is. A change restarts the daemon."""

    startup: DaemonStartupProbe = DaemonStartupProbe()
    """Whether the daemon is up."""
    readiness: DaemonReadinessProbe = DaemonReadinessProbe()
    """Whether the daemon answers."""
    liveness: DaemonLivenessProbe = DaemonLivenessProbe()
    """Whether the daemon is still alive."""
