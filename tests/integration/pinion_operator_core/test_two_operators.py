"""Two operators through outages, slow answers and wrong clocks: one leads, and the audit log shows one writer at a time."""

import time
from datetime import timedelta

import pytest

from tests.support.api_proxy import Fault
from tests.support.pair import Pair
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


@pytest.mark.parametrize("lease_seconds", [40])
def test_an_outage_shorter_than_the_deadline_changes_no_leader(pair: Pair) -> None:
    before = pair.lease["leaseTransitions"]
    pair.refuse(pair.leader, pair.standby)
    pair.small.apply("one", 2)
    pair.leader.wait_renewals_failed(2)
    pair.leader.proxy.clear()
    pair.standby.wait_renewals_failed(2)
    pair.standby.proxy.clear()
    pair.small.wait_ready("one")
    wait_until(lambda: pair.small.get("configmap", "one-small")["data"] == {"priority": "2"}, "it goes on")
    assert pair.leader.process.poll() is None
    assert pair.standby.metric("pinion_operator_leading") == 0
    assert pair.lease["leaseTransitions"] == before
    assert pair.standby.http("/readyz")[0] == 200


def test_an_outage_longer_than_the_lease_ends_the_leader_and_the_other_takes_over_once(pair: Pair) -> None:
    before = pair.lease["leaseTransitions"]
    pair.refuse(pair.leader, pair.standby)
    assert pair.leader.wait(60) == 1
    pair.small.apply("one", 2)
    pair.standby.proxy.clear()
    third = pair.start_standby()
    pair.standby.wait_leading()
    pair.small.wait_ready("one")
    pair.small.apply("one", 3)
    wait_until(lambda: pair.small.get("configmap", "one-small")["data"] == {"priority": "3"}, "the new leader works")
    assert pair.lease["leaseTransitions"] == before + 1
    assert third.metric("pinion_operator_leading") == 0
    pair.check_one_at_a_time()
    assert len({one.agent for one in pair.written()}) == 2


def test_renewals_that_are_late_end_the_leader_before_another_writes(pair: Pair) -> None:
    late = Fault(lambda request: request.method == "PUT" and "/leases/" in request.path, delay=15)
    pair.leader.proxy.faults.append(late)
    number = 100
    while pair.leader.process.poll() is None:  # it works to its end: a decision is always on its way
        number += 1
        pair.small.apply("one", number)
    assert pair.leader.process.returncode == 1
    assert late.met
    pair.standby.wait_leading()
    pair.small.apply("one", 99_999)
    wait_until(lambda: pair.small.get("configmap", "one-small")["data"] == {"priority": "99999"}, "the new leader works")
    pair.check_one_at_a_time()


def test_a_clock_that_is_wrong_neither_steals_nor_keeps_the_lease(pair: Pair) -> None:
    pair.leader.proxy.ahead = timedelta(minutes=-10)
    looks(pair, 8)  # longer than the Lease lasts: one every 4 s
    assert pair.lease["renewTime"] < now(), "the others see the wrong clock"
    assert pair.standby.metric("pinion_operator_leading") == 0
    assert pair.leader.process.poll() is None
    pair.leader.proxy.ahead = timedelta(minutes=10)
    wait_until(lambda: pair.lease["renewTime"] > now(), "a renewal by the new clock")
    pair.leader.process.kill()
    pair.standby.wait_leading()
    pair.check_one_at_a_time()


def looks(pair: Pair, count: int) -> None:
    """Wait until the standby has looked at the Lease so often."""
    name = "pinion_operator_lease_renewals_total"
    looked = pair.standby.metric(name, result="standby")
    wait_until(lambda: pair.standby.metric(name, result="standby") >= looked + count, "the standby looks", 120)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
