"""The Lease: one write per third of its duration, and another leader within seven sixths of it."""

import signal
import time
from datetime import datetime
from itertools import pairwise

import pytest

from pinion_operator.cluster.timing import Timing
from tests.support.api_proxy import Fault
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
RENEWALS = "pinion_operator_lease_renewals_total"
TIMING = Timing(24)  # long enough that a busy machine does not bring its end
LEASE = {"PINION_LEASE_SECONDS": str(TIMING.duration)}


def lease_writes(operator: OperatorProcess) -> list[float]:
    """Return when it has written the Lease."""
    return [one.at for one in operator.proxy.settled if one.method in ("PUT", "POST") and "/leases" in one.path]


def test_the_leader_writes_once_per_third_and_a_standby_never(small: Small) -> None:
    leader, standby = small.leader(**LEASE), small.start(**LEASE)
    before, started = len(lease_writes(leader)), time.monotonic()
    wait_until(lambda: standby.metric(RENEWALS, result="standby") >= 9, "the standby has looked nine times")
    written, passed = lease_writes(leader)[before:], time.monotonic() - started
    thirds = passed / TIMING.renewal
    assert len(written) <= thirds + 2, f"{len(written)} writes in {passed:.1f} s"
    shortest = min(later - earlier for earlier, later in pairwise(written))
    assert shortest < 1.5 * TIMING.renewal, "a machine that does other things makes some late, and not all"
    assert leader.metric("pinion_operator_leading") == 1
    assert lease_writes(standby) == []
    held = small.kubectl("get", "lease", f"{small.operators.namespace}-operator", "-o", "jsonpath={.spec.leaseDurationSeconds}")
    assert held == str(TIMING.duration)


def test_another_leads_within_seven_sixths_of_the_duration_after_a_kill(small: Small) -> None:
    leader = small.leader(**LEASE)
    small.apply("one", 1)
    small.wait_ready("one")
    second = small.start(**LEASE)
    wait_until(lambda: second.metric(RENEWALS, result="standby"), "a standby waits")
    leader.signal(signal.SIGKILL)
    leader.wait()
    name = f"{small.operators.namespace}-operator"
    renewed = datetime.fromisoformat(small.kubectl("get", "lease", name, "-o", "jsonpath={.spec.renewTime}"))
    second.wait_leading()
    led = next(datetime.fromisoformat(line["time"]) for line in second.lines() if line["message"] == "leading")
    passed = (led - renewed).total_seconds()
    assert passed > TIMING.deadline, "never while the one that is silent may lead"
    assert passed <= TIMING.duration + TIMING.look + 18, "eighteen seconds for a machine that does other things"


def test_a_renewal_that_hangs_leaves_time_for_another(small: Small) -> None:
    """And work that hangs takes no connection from it."""
    leader = small.leader(PINION_LEASE_SECONDS="60")  # the renewal that hangs takes 34 of the 48 s after which it gives up
    small.apply("one", 1)
    small.wait_ready("one")
    hangs = Fault(lambda request: request.method == "PUT" and "/leases/" in request.path, left=1)
    slow = Fault(lambda request: "/leases/" not in request.path)
    leader.proxy.faults += [hangs, slow]
    for number in range(2, 12):
        small.apply(f"o-{number}", number)
    wait_until(lambda: hangs.met and slow.met >= 6, "all connections of the work hang, and one renewal")
    renewed = leader.metric(RENEWALS, result="renewed")
    wait_until(lambda: leader.metric(RENEWALS, result="renewed") > renewed, "it is renewed all the same")
    assert leader.process.poll() is None
    leader.proxy.clear()
    small.wait_ready("one")
