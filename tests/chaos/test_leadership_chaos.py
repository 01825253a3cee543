"""Two operators with the Lease that users have, under outages of any length: one writer at a time, by the audit log."""

import random
import signal
import time

import pytest

from tests.support.api_proxy import Fault
from tests.support.pair import Pair
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.control_plane]


@pytest.fixture
def lease_seconds() -> int:
    return 15


def change(pair: Pair, number: int) -> None:
    """Change the object and wait until whoever leads has done it."""
    pair.small.apply("one", number)
    wait_until(lambda: pair.small.get("configmap", "one-small")["data"] == {"priority": str(number)}, f"{number} is done", 90)


def test_eight_seconds_change_nothing(pair: Pair, rounds: int) -> None:
    before = pair.lease["leaseTransitions"]
    for number in range(200, 200 + rounds):
        pair.refuse(pair.leader, pair.standby)
        time.sleep(8)
        pair.leader.proxy.clear()
        pair.standby.proxy.clear()
        change(pair, number)
    assert pair.lease["leaseTransitions"] == before
    assert pair.leader.process.poll() is None


def test_forty_seconds_change_the_leader_once(pair: Pair, rounds: int) -> None:
    for number in range(20, 20 + max(1, rounds // 3)):
        before = pair.lease["leaseTransitions"]
        pair.refuse(pair.leader, pair.standby)
        time.sleep(40)
        assert pair.leader.process.poll() == 1
        pair.standby.proxy.clear()
        pair.standby.wait_leading(90)
        change(pair, number)
        assert pair.lease["leaseTransitions"] == before + 1
        pair.leader = pair.standby
        pair.standby = pair.start_standby()
    pair.check_one_at_a_time()


def test_any_loss_of_a_leader_at_any_time_leaves_one_writer(pair: Pair, rounds: int, dice: random.Random) -> None:
    for number in range(100, 100 + rounds):
        losses = {
            "kill": lambda: pair.leader.signal(signal.SIGKILL),
            "stop": lambda: pair.leader.signal(signal.SIGTERM),
            "freeze": lambda: pair.leader.signal(signal.SIGSTOP),
            "cut off": pair.leader.proxy.cut_off,
            "late renewals": lambda: pair.leader.proxy.faults.append(
                Fault(lambda request: request.method == "PUT" and "/leases/" in request.path, delay=12)
            ),
        }
        name = dice.choice(sorted(losses))
        print(f"round {number}: {name}")
        pair.small.apply("one", number + 1000)
        time.sleep(dice.random())
        losses[name]()
        change(pair, number)
        pair.standby.wait_leading(90)
        pair.leader.signal(signal.SIGCONT) if pair.leader.process.poll() is None else None
        wait_until(lambda: pair.leader.process.poll() is not None, "the one that led ends", 60)
        pair.leader = pair.standby
        pair.standby = pair.start_standby()
    pair.check_one_at_a_time()
