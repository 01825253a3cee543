"""One leads, others wait; a leader that may have lost the Lease writes nothing more and ends."""

import json
import signal
import time
from datetime import datetime

import pytest

from tests.support import administrator
from tests.support.api_proxy import Fault
from tests.support.operator_process import OperatorProcess, Operators, grant
from tests.support.small import SMALL, Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
LEASE = {"PINION_LEASE_SECONDS": "24"}  # its end is waited for; gives up after 19.2 s
LONG_LEASE = {"PINION_LEASE_SECONDS": "40"}  # where nobody waits for its end, and a busy machine must not bring it


def standby(small: Small, lease: dict[str, str] = LEASE) -> OperatorProcess:
    """Start a second one and wait until it has seen that another leads."""
    second = small.start(**lease)
    wait_until(lambda: second.metric("pinion_operator_lease_renewals_total", result="standby"), "the standby waits")
    return second


def said_at(operator: OperatorProcess, message: str) -> datetime:
    """Return when it first wrote this into its log."""
    return min(datetime.fromisoformat(line["time"]) for line in operator.lines() if line["message"] == message)


def test_a_standby_is_healthy_and_ready_and_takes_over_after_a_kill(small: Small) -> None:
    leader = small.leader(**LEASE)
    small.apply("one", 1)
    small.wait_ready("one")
    second = standby(small)
    assert second.http("/healthz")[0] == 200
    assert second.http("/readyz")[0] == 200
    assert (leader.metric("pinion_operator_leading"), second.metric("pinion_operator_leading")) == (1, 0)
    assert second.writes() == []
    leader.signal(signal.SIGKILL)
    small.apply("one", 2)
    second.wait_leading()
    small.wait_ready("one")
    assert small.get("configmap", "one-small")["data"] == {"priority": "2"}
    assert second.metric("pinion_operator_leading") == 1


def test_a_stop_hands_over_at_once(small: Small) -> None:
    lease = {"PINION_LEASE_SECONDS": "120"}
    leader = small.leader(**lease)
    second = standby(small, lease)
    started = time.monotonic()
    assert leader.stop() == 0
    assert time.monotonic() - started < 30
    second.wait_leading()
    assert time.monotonic() - started < 60  # a silent leader gets 120 s; the standby looks every 20 s


def test_a_leader_that_was_frozen_writes_nothing_more_and_ends(small: Small) -> None:
    leader = small.leader(**LEASE)
    small.apply("one", 1)
    small.wait_ready("one")
    second = standby(small)
    leader.signal(signal.SIGSTOP)
    second.wait_leading()
    small.apply("one", 2)
    small.wait_ready("one")
    before = len(leader.writes())
    leader.signal(signal.SIGCONT)
    assert leader.wait() == 1
    assert len(leader.writes()) == before
    assert [line for line in leader.lines() if line["message"] == "exit"]


def test_a_leader_whose_renewals_alone_fail_ends_in_time(small: Small) -> None:
    leader = small.leader(**LEASE)
    small.apply("one", 1)
    small.wait_ready("one")
    leader.proxy.faults.append(Fault(lambda request: "/leases/" in request.path, status=503))
    small.apply("one", 2)
    assert leader.wait() == 1
    last = [line for line in leader.lines() if line["message"] == "exit"]
    assert [line["reason"] for line in last] == ["lease not renewed in time"]


def test_a_leader_that_is_cut_off_ends_before_the_standby_leads(small: Small) -> None:
    leader = small.leader(**LEASE)
    second = standby(small)
    leader.proxy.cut_off()
    assert leader.wait() == 1
    second.wait_leading()
    assert said_at(leader, "exit") < said_at(second, "leading")


def test_an_api_server_that_is_away_for_a_moment_is_waited_for(small: Small) -> None:
    leader = small.leader(**LONG_LEASE)
    leader.proxy.cut_off()
    small.apply("one", 1)
    leader.wait_renewals_failed(2)
    leader.proxy.cut = False
    small.wait_ready("one")
    assert leader.stop() == 0


def test_a_stop_before_leading_exits_cleanly(small: Small) -> None:
    small.leader(**LONG_LEASE)
    second = standby(small, LONG_LEASE)
    assert second.stop() == 0
    third = small.start(**LONG_LEASE)
    wait_until(lambda: third.proxy.asked, "it has begun")
    assert third.stop() == 0


def test_two_namespaces_of_one_operator_and_the_whole_cluster(operators: Operators, small: Small) -> None:
    plane, own = operators.control_plane, operators.namespace
    other = f"{own}-other"
    plane.create_namespace(other)
    try:
        grant(plane, own, namespaces=[])
        # As in the namespace of its own: the small program looks at its Secret, which the chart lets nobody do.
        plane.kubectl("create", "clusterrole", f"{own}-small", "--verb=get", "--resource=secrets")
        account = f"--serviceaccount={own}:{own}-operator"
        plane.kubectl("create", "clusterrolebinding", f"{own}-small", f"--clusterrole={own}-small", account)
        running = small.leader(**LONG_LEASE, PINION_NAMESPACES="")
        small.apply("one", 1)
        body = {"apiVersion": "pinion.dev/v1alpha1", "kind": "IpfsBackend", "metadata": {"name": "one"}}
        spec = {"spec": {"type": "Kubo", "priority": 7, "managed": {}}}
        plane.kubectl("--namespace", other, "apply", "-f", "-", input=json.dumps(body | spec))
        small.wait_ready("one")
        made = wait_until(
            lambda: plane.kubectl(
                "-n", other, "get", "configmap", "one-small", "--ignore-not-found", "-o", "jsonpath={.data.priority}"
            ),
            "the other namespace is served too",
        )
        assert made == "7"
        assert not [one for one in running.proxy.asked if one.lacking]
        plane.kubectl("-n", other, "delete", "ipfsbackend", "one", "--timeout=50s")
        running.stop()  # before its rights go: namespaces of other tests may still be on their way out
    finally:
        administrator.delete_namespace(plane.kubeconfig, other)
        plane.kubectl("delete", "clusterrole,clusterrolebinding", f"{own}-small", "--ignore-not-found")


def test_a_namespace_that_was_deleted_does_not_keep_a_new_operator_from_the_others(operators: Operators, small: Small) -> None:
    """Its Role went with it: to the operator it is one that refuses everything."""
    operators.may_lack_rights = True
    running = small.leader(**LONG_LEASE, PINION_NAMESPACES=f"{operators.namespace}-deleted,{operators.namespace}")
    small.apply("one", 1)
    small.wait_ready("one")
    assert [line for line in running.lines() if line.get("namespaces") == f"{operators.namespace}-deleted"]


def test_settings_that_cannot_be_are_named(operators: Operators) -> None:
    operator = operators.start(SMALL, environment={"PINION_WORKERS": "many", "SMALL_OUTSIDE": "/nowhere"})
    assert operator.wait() != 0
    assert "PINION_WORKERS" in operator.log.read_text()
