"""What `kubectl get events` tells of our objects: one Event for each transition, and none that could hold a reconcile up."""

import json
from typing import Any

import pytest

from tests.support.api_proxy import Fault
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


def told(small: Small, name: str) -> list[dict[str, Any]]:
    """Return the Events about an object, oldest first."""
    found = json.loads(small.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return sorted((e for e in found if e["regarding"]["name"] == name), key=lambda event: str(event["eventTime"]))


def test_one_event_for_what_a_person_needs_and_none_without(small: Small) -> None:
    operator = small.leader(PINION_RELIST_SECONDS="1")
    small.apply("one", 1)
    small.wait_ready("one")
    wait_until(lambda: told(small, "one"), "it is told")
    lists = operator.metric("pinion_operator_lists_total", result="done")
    wait_until(lambda: operator.metric("pinion_operator_lists_total", result="done") >= lists + 3, "it looks again")
    events = told(small, "one")
    assert [(e["reason"], e["note"], e["type"]) for e in events] == [
        ("Small", "Ready is True", "Normal"),
    ]
    assert {e["regarding"]["uid"] for e in events} == {small.get("ipfsbackend", "one")["metadata"]["uid"]}
    assert operator.metric("pinion_operator_events_total", result="posted") == 1
    assert operator.stop() == 0
    second = small.leader()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total") >= 1, "a pass")
    second.wait_quiet()
    assert len(told(small, "one")) == 1, "a restart tells nothing again"


def test_people_see_them_with_kubectl(small: Small) -> None:
    small.leader()
    small.kubectl("create", "configmap", "two-small", "--from-literal=whose=a stranger's")
    small.apply("two", 2)
    small.wait_ready("two", "False/NameTaken")
    shown = wait_until(lambda: small.kubectl("get", "events", "--field-selector", "reason=NameTaken"), "it is listed")
    line = shown.splitlines()[1]
    for word in ("Warning", "NameTaken", "ipfsbackend/two", "Ready is False"):
        assert word in line
    assert "NameTaken" in small.kubectl("describe", "ipfsbackend", "two")


@pytest.mark.parametrize("status", [403, 500, 0])
def test_events_that_cannot_be_posted_hold_nothing_up(small: Small, status: int) -> None:
    operator = small.start()
    refused = Fault(lambda request: "/events.k8s.io/" in request.path, status)
    operator.proxy.faults.append(refused)
    operator.wait_leading()
    small.apply("three", 3)
    small.wait_ready("three")
    wait_until(lambda: operator.metric("pinion_operator_events_total", result="failed") >= 1, "it was tried and given up")
    assert operator.failed_passes() <= 0
    assert operator.http("/healthz")[0] == 200
    assert refused.met == 1, "nothing is tried again"
