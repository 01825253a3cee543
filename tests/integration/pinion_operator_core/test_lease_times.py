"""The Lease: one write per third of its duration, and another leader within seven sixths of it."""

import signal
import time

import pytest

from pinion_operator.cluster.timing import Timing
from tests.support.api_proxy import Fault
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
RENEWALS = "pinion_operator_lease_renewals_total"


def lease_writes(operator: OperatorProcess) -> int:
    return sum(one.method in ("PUT", "POST") and "/leases" in one.path for one in list(operator.proxy.asked))


@pytest.mark.parametrize("seconds", [8, 15])
def test_the_leader_writes_once_per_third_and_a_standby_never(small: Small, seconds: int) -> None:
    leader = small.leader(PINION_LEASE_SECONDS=str(seconds))
    standby = small.start(PINION_LEASE_SECONDS=str(seconds))
    before, started = lease_writes(leader), time.monotonic()
    wait_until(lambda: standby.metric(RENEWALS, result="standby") >= 10, "the standby has looked ten times")
    written, passed = lease_writes(leader) - before, time.monotonic() - started
    thirds = passed / Timing(seconds).renewal
    assert thirds - 2 <= written <= thirds + 2, f"{written} writes in {passed:.1f} s"
    assert lease_writes(standby) == 0
    held = small.kubectl("get", "lease", f"{small.operators.namespace}-operator", "-o", "jsonpath={.spec.leaseDurationSeconds}")
    assert held == str(seconds)


def test_another_leads_within_ten_seconds_of_a_kill(small: Small) -> None:
    default = {"PINION_LEASE_SECONDS": str(Timing().duration)}
    leader = small.leader(**default)
    small.apply("one", 1)
    small.wait_ready("one")
    second = small.start(**default)
    wait_until(lambda: second.metric(RENEWALS, result="standby"), "a standby waits")
    leader.signal(signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: second.metric("pinion_operator_leading"), "the standby leads", 60)
    assert time.monotonic() - killed <= 10 + 2, "two seconds for a machine that does other things"


def test_a_renewal_that_hangs_leaves_time_for_another(small: Small) -> None:
    """And work that hangs takes no connection from it."""
    leader = small.leader(PINION_LEASE_SECONDS="8")
    small.apply("one", 1)
    small.wait_ready("one")
    hangs = Fault(lambda request: request.method == "PUT" and "/leases/" in request.path, left=1)
    slow = Fault(lambda request: "/leases/" not in request.path)
    leader.proxy.faults += [hangs, slow]
    for number in range(2, 12):
        small.apply(f"o-{number}", number)
    wait_until(lambda: hangs.met and slow.met >= 6, "all connections of the work hang, and one renewal")
    renewed = leader.metric(RENEWALS, result="renewed")
    wait_until(lambda: leader.metric(RENEWALS, result="renewed") >= renewed + 3, "it is renewed all the same", 30)
    assert leader.process.poll() is None
    leader.proxy.clear()
    small.wait_ready("one")
