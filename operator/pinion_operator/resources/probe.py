"""An HTTP probe of a container."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ProbeTimes:
    """How patiently it is asked."""

    period: int  # seconds
    timeout: int  # seconds
    failures: int
    delay: int = 0  # seconds

    def of(self, path: str, port: int | str) -> Mapping[str, Any]:
        """Return the probe."""
        get = {"path": path, "port": port, "scheme": "HTTP"}
        late = {"initialDelaySeconds": self.delay} if self.delay else {}
        times = {"periodSeconds": self.period, "timeoutSeconds": self.timeout, "failureThreshold": self.failures}
        return {"httpGet": get, **late, **times}


@dataclass(frozen=True)
class ProbesTimes:
    """Those of the three probes."""

    startup: ProbeTimes
    readiness: ProbeTimes
    liveness: ProbeTimes
