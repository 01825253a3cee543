"""Watches that are half dead for minutes, and rights that are away for minutes, with the settings that users have."""

import time

import pytest

from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.control_plane]


def test_four_minutes_without_a_sign_from_any_watch(small: Small) -> None:
    operator = small.leader(PINION_RELIST_SECONDS="3600")  # lists must not be what helps
    small.apply("stays", 1)
    small.apply("goes", 2)
    small.wait_ready("stays")
    small.wait_ready("goes")
    operator.proxy.swallow_watches()
    small.apply("comes", 4)
    small.apply("stays", 3)
    small.kubectl("delete", "ipfsbackend", "goes", "--wait=false")
    wait_until(
        lambda: operator.metric("pinion_operator_watch_age_seconds", kind="ipfsbackends") > 75, "the metric shows it", 120
    )
    time.sleep(160)
    assert operator.process.poll() is None
    operator.proxy.hole = False
    back = time.monotonic()
    small.wait_ready("comes", timeout=90)
    small.wait_ready("stays", timeout=90)
    wait_until(lambda: not small.get("ipfsbackend", "goes"), "the deletion is handled", 90)
    print(f"handled {time.monotonic() - back:.0f} s after the return")
    assert small.get("configmap", "stays-small")["data"] == {"priority": "3"}


def test_two_minutes_without_rights(small: Small) -> None:
    operator = small.leader()
    small.apply("one", 1)
    small.wait_ready("one")
    small.operators.take_rights_away()
    time.sleep(120)
    small.operators.give_rights_back()
    small.apply("two", 2)
    small.wait_ready("two", timeout=60)
    assert operator.process.poll() is None
    assert operator.http("/healthz")[0] == 200


def test_watches_that_are_cut_at_any_time(small: Small, rounds: int) -> None:
    operator = small.leader()
    for number in range(100, 100 + rounds * 10):
        operator.proxy.end_watches()
        small.apply("cut", number)
        small.wait_ready("cut")
    wait_until(lambda: small.get("configmap", "cut-small")["data"] == {"priority": str(99 + rounds * 10)}, "the newest")
    assert operator.process.poll() is None
