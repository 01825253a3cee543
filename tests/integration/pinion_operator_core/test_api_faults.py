"""An API server that refuses, fails, contradicts or goes away: each is waited out, and nothing is done twice."""

import json

import pytest

from tests.support.api_proxy import Fault
from tests.support.audit import writes
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


def test_a_server_that_asks_for_patience_gets_it(small: Small) -> None:
    operator = small.leader()
    busy = Fault(lambda request: request.method == "POST" and request.path.endswith("/secrets"), 429, left=2, retry_after="3")
    operator.proxy.faults.append(busy)
    small.apply("one", 1)
    small.wait_ready("one")
    posts = [one for one in operator.proxy.settled if one.method == "POST" and one.path.endswith("/secrets")]
    assert [one.status for one in posts] == [429, 429, 201]
    assert posts[2].at - posts[0].at > 5, "twice three seconds"


def test_each_failing_write_is_tried_again_and_made_once(small: Small) -> None:
    operator = small.leader()
    for method, status in (("POST", 500), ("PATCH", 409), ("PATCH", 503), ("POST", 409)):
        operator.proxy.faults.append(
            Fault(lambda request, m=method: request.method == m and "events" not in request.path, status, left=1)
        )
    small.apply("one", 1)
    small.wait_ready("one", timeout=60)
    wait_until(lambda: not [fault for fault in operator.proxy.faults if fault.left], "all faults were met", 60)
    operators = small.operators
    made = writes(operators.control_plane.audit_log, operators.namespace)
    created = [one for one in made if one.verb == "create" and one.status < 500 and one.status != 429]
    assert [(one.resource, one.status) for one in created] == [("secrets", 201)]
    assert operator.metric("pinion_operator_reconcile_total", result="conflict") >= 1
    operator.wait_quiet()


def test_a_create_whose_answer_was_lost_is_not_made_twice(small: Small) -> None:
    operator = small.leader(PINION_REQUEST_TIMEOUT_SECONDS="2")
    late = Fault(lambda request: request.method == "POST" and request.path.endswith("/secrets"), left=1, lost=True)
    operator.proxy.faults.append(late)
    small.apply("one", 1)
    small.wait_ready("one")
    secrets = json.loads(small.kubectl("get", "secrets", "-o", "json"))["items"]
    assert [secret["metadata"]["name"] for secret in secrets] == ["one-small"]
    assert late.met == 1


def test_an_api_server_that_is_killed_is_waited_for(small: Small) -> None:
    operator = small.leader(PINION_LEASE_SECONDS="150")  # how long the restart takes on a busy machine is not the point here
    small.apply("one", 1)
    small.wait_ready("one")
    operator.wait_quiet(1)
    small.operators.may_lack_rights = True  # a server that has just come up does not know its roles yet
    small.operators.control_plane.restart_api_server()
    small.apply("one", 2)
    small.apply("two", 3)
    small.wait_ready("one", timeout=60)
    small.wait_ready("two", timeout=60)
    assert operator.process.poll() is None
    operator.wait_quiet()
    operators = small.operators
    assert not [one for one in writes(operators.control_plane.audit_log, operators.namespace) if one.status == 422]
