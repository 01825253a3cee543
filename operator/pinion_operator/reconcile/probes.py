"""From what the user says about probes to what a builder takes."""

from ..api.probes import DaemonProbes, LivenessProbe, Probes, ReadinessProbe, StartupProbe
from ..resources.probe import ProbesTimes, ProbeTimes


def to_times(probes: Probes | DaemonProbes) -> ProbesTimes:
    """Return the times of the three probes."""
    return ProbesTimes(_times(probes.startup), _times(probes.readiness), _times(probes.liveness))


def _times(probe: StartupProbe | ReadinessProbe | LivenessProbe) -> ProbeTimes:
    return ProbeTimes(probe.period_seconds, probe.timeout_seconds, probe.failure_threshold, probe.initial_delay_seconds)
