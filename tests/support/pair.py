"""Two operators for one namespace, and what the API server's audit log says of their turns."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.api_proxy import Fault
from tests.support.audit import Written, turns, writes
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small
from tests.support.waiting import wait_until


@dataclass
class Pair:
    """One leads, the other waits."""

    small: Small
    environment: dict[str, str]
    leader: OperatorProcess
    standby: OperatorProcess

    @property
    def lease(self) -> dict[str, Any]:
        """Return the Lease's spec."""
        name = f"{self.small.operators.namespace}-operator"
        return dict(json.loads(self.small.kubectl("get", "lease", name, "-o", "json"))["spec"])

    def written(self) -> list[Written]:
        """Return what the operators of this namespace have written, by the audit log."""
        operators = self.small.operators
        return writes(operators.control_plane.audit_log, operators.namespace)

    def check_one_at_a_time(self) -> None:
        """Fail when one wrote after another had taken over."""
        order = turns(self.written())
        assert len(order) == len(set(order)), f"writers took turns more than once: {order}"

    def refuse(self, *operators: OperatorProcess) -> None:
        """Let the API server be away for these: every request is answered 503, open watches end."""
        for operator in operators:
            operator.proxy.faults.append(Fault(lambda request: True, 503))
            operator.proxy.end_watches()

    def start_standby(self) -> OperatorProcess:
        """Start one more, as a kubelet does for a container that has ended, and wait until it has looked at the Lease."""
        started = self.small.start(**self.environment)
        wait_until(lambda: started.metric("pinion_operator_lease_renewals_total", result="standby"), "the standby waits", 60)
        return started


@pytest.fixture
def lease_seconds() -> int:
    """Return the duration of the pair's Lease; a test module may override it."""
    return 24  # gives up after 19.2 s: its end is waited for, and a busy machine must not bring it before


@pytest.fixture
def pair(small: Small, lease_seconds: int) -> Pair:
    """Start two, and give them one object that is Ready."""
    environment = {"PINION_LEASE_SECONDS": str(lease_seconds)}
    leader = small.leader(**environment)
    small.apply("one", 1)
    small.wait_ready("one")
    running = Pair(small, environment, leader, leader)
    running.standby = running.start_standby()
    return running
