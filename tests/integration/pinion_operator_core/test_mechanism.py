"""Events, our queue, observe, decide, write: against a real API server, with the small kind of decisions."""

import base64
import signal

import pytest

from tests.support.api_proxy import Fault
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


def test_from_apply_to_deletion(small: Small) -> None:
    operator = small.leader()
    small.apply("one", 5)
    small.wait_ready("one")
    owner = small.get("ipfsbackend", "one")
    assert owner["metadata"]["finalizers"] == ["pinion.dev/small"]
    for kind in ("configmap", "secret"):
        child = small.get(kind, "one-small")
        assert [o["uid"] for o in child["metadata"]["ownerReferences"]] == [owner["metadata"]["uid"]]
        assert child["metadata"]["managedFields"][0]["manager"] == "pinion-operator"
    # The finalizer, Progressing, two children, Ready. A status comes before a child is touched.
    steps = [(one.method, one.path.rsplit("/", 1)[-1]) for one in operator.writes(decided=True)]
    assert operator.metric("pinion_operator_objects", kind="IpfsBackend") == 1
    assert steps[:2] == [("PATCH", "one"), ("PATCH", "status")]
    assert sorted(steps[2:4]) == [("PATCH", "one-small"), ("POST", "secrets")], "at once, in any order"
    assert steps[4:] == [("PATCH", "status")]

    (small.outside / owner["metadata"]["uid"]).touch()
    small.kubectl("delete", "ipfsbackend", "one", "--timeout=50s")
    assert not list(small.outside.iterdir())
    wait_until(lambda: operator.metric("pinion_operator_objects", kind="IpfsBackend") == 0, "a count without it")
    # The garbage collector learns new kinds every 30 s.
    wait_until(lambda: not small.get("configmap", "one-small"), "the garbage collector took the children", 120)
    assert operator.stop() == 0


def test_an_idle_object_costs_no_write_and_a_restart_neither(small: Small) -> None:
    first = small.leader(PINION_RELIST_SECONDS="1")
    for number in range(20):
        small.apply(f"idle-{number}", number)
    for number in range(20):
        if number != 13:
            small.wait_ready(f"idle-{number}")
    first.wait_quiet()
    before = len(first.writes())
    lists = first.metric("pinion_operator_lists_total", result="done")
    wait_until(lambda: first.metric("pinion_operator_lists_total", result="done") >= lists + 3, "three more lists")
    assert len(first.writes()) == before
    assert first.stop() == 0

    second = small.leader()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total", kind="IpfsBackend") >= 20, "a pass over each")
    second.wait_quiet()
    assert second.writes() == []
    assert second.metric("pinion_operator_objects", kind="IpfsBackend") == 20


def test_a_change_of_the_object_and_a_loss_of_a_child_are_put_right(small: Small) -> None:
    small.leader()
    small.apply("two", 1)
    small.wait_ready("two")
    since = small.get("ipfsbackend", "two")["status"]["conditions"][0]["lastTransitionTime"]
    small.apply("two", 2)
    small.wait_ready("two")
    assert small.get("configmap", "two-small")["data"] == {"priority": "2"}
    small.kubectl("delete", "configmap", "two-small")
    wait_until(lambda: small.get("configmap", "two-small"), "the child is back")
    small.kubectl("label", "configmap", "two-small", "app.kubernetes.io/managed-by-")
    wait_until(
        lambda: small.get("configmap", "two-small")["metadata"]["labels"].get("app.kubernetes.io/managed-by"),
        "the label is back",
    )
    small.kubectl("patch", "configmap", "two-small", "--type=merge", "-p", '{"data":{"priority":"9"}}')
    wait_until(lambda: small.get("configmap", "two-small")["data"] == {"priority": "2"}, "the content is back")
    small.wait_ready("two")
    assert small.get("ipfsbackend", "two")["status"]["conditions"][0]["lastTransitionTime"] >= since
    small.apply("two", 13)
    wait_until(lambda: not small.get("configmap", "two-small"), "a child that is no longer wanted goes")


def test_a_name_that_is_taken_is_left_alone_until_it_is_free(small: Small) -> None:
    operator = small.leader()
    small.kubectl("create", "configmap", "three-small", "--from-literal=whose=a stranger's")
    small.apply("three", 3)
    small.wait_ready("three", "False/NameTaken")
    assert small.get("configmap", "three-small")["data"] == {"whose": "a stranger's"}
    operator.wait_quiet()
    small.kubectl("delete", "configmap", "three-small")
    small.wait_ready("three")
    assert small.get("configmap", "three-small")["data"] == {"priority": "3"}


def test_a_name_that_is_taken_under_our_label_or_by_a_secret(small: Small) -> None:
    small.leader()
    small.kubectl("create", "configmap", "four-small", "--from-literal=whose=a stranger's")
    small.kubectl("label", "configmap", "four-small", "app.kubernetes.io/managed-by=pinion-operator")
    small.apply("four", 4)
    small.wait_ready("four", "False/NameTaken")
    assert small.get("configmap", "four-small")["data"] == {"whose": "a stranger's"}


def test_an_object_made_anew_under_its_name_waits_for_the_garbage_collector(small: Small) -> None:
    small.leader()
    small.apply("five", 5)
    small.wait_ready("five")
    first = small.get("ipfsbackend", "five")["metadata"]["uid"]
    small.kubectl("delete", "ipfsbackend", "five")
    small.apply("five", 6)
    small.wait_ready("five", timeout=120)
    second = small.get("ipfsbackend", "five")["metadata"]["uid"]
    assert first != second
    assert small.get("configmap", "five-small")["metadata"]["ownerReferences"][0]["uid"] == second


def test_an_object_already_in_deletion_at_the_start_is_released(small: Small) -> None:
    first = small.leader()
    small.apply("six", 6)
    small.wait_ready("six")
    assert first.stop() == 0
    uid = small.get("ipfsbackend", "six")["metadata"]["uid"]
    (small.outside / uid).touch()
    small.kubectl("delete", "ipfsbackend", "six", "--wait=false")
    second = small.leader()
    wait_until(lambda: not small.get("ipfsbackend", "six"), "it is gone")
    assert not list(small.outside.iterdir())
    assert [one.method for one in second.writes(decided=True)] == ["PATCH"]  # the finalizer


def test_a_deletion_that_no_watch_saw_is_found(small: Small) -> None:
    operator = small.leader()
    small.apply("seven", 7)
    small.wait_ready("seven")
    hidden = Fault(lambda request: request.query.get("watch") == "true" and "configmaps" in request.path, status=503)
    operator.proxy.faults.append(hidden)
    operator.proxy.end_watches()
    wait_until(lambda: hidden.met, "a watch is away")
    small.kubectl("delete", "configmap", "seven-small")
    small.kubectl("create", "configmap", "other", "--from-literal=a=b")
    operator.proxy.clear()
    wait_until(lambda: small.get("configmap", "seven-small"), "the child is back")


def test_refusals_of_a_server_that_has_just_come_up_are_transient(small: Small) -> None:
    operator = small.start()
    wait_until(lambda: operator.proxy.asked, "it asks")
    asks_backends = [
        Fault(lambda request: "ipfsbackends" in request.path and request.method == "GET", 429, left=2, retry_after="1"),
        Fault(lambda request: "ipfsbackends" in request.path and request.method == "GET", 403, left=2),
        Fault(lambda request: request.method == "PATCH" and request.path.endswith("/status"), 403, left=1),
        Fault(lambda request: request.method == "POST" and request.path.endswith("/secrets"), 429, left=1, retry_after="1"),
        Fault(lambda request: request.method == "PATCH" and request.path.endswith("-small"), 500, left=1),
    ]
    operator.proxy.faults.extend(asks_backends)
    small.apply("eight", 8)
    operator.wait_leading()
    small.wait_ready("eight")
    assert [fault.met for fault in asks_backends[2:]] == [1, 1, 1]
    assert operator.metric("pinion_operator_reconcile_total", result="failed") >= 2
    assert operator.metric("pinion_operator_api_requests_total", code="429") >= 1


def test_an_old_picture_is_not_written_over_a_new_one(small: Small) -> None:
    operator = small.leader()
    small.apply("nine", 9)
    small.wait_ready("nine")
    held = Fault(lambda request: request.method == "PATCH" and request.path.endswith("/status"), status=0, left=1)
    operator.proxy.faults.append(held)
    small.apply("nine", 10)
    wait_until(lambda: held.met, "the status is on its way")
    small.apply("nine", 11)  # the write that is held was decided from 10
    operator.proxy.clear()
    small.wait_ready("nine")
    assert small.get("configmap", "nine-small")["data"] == {"priority": "11"}


def test_secrets_are_made_once_and_never_listed(small: Small) -> None:
    operator = small.leader()
    small.apply("ten", 10)
    small.wait_ready("ten")
    token = small.get("secret", "ten-small")["data"]["token"]
    assert base64.b64decode(token) == b"made-once"
    small.apply("ten", 11)
    small.wait_ready("ten")
    asked = [one for one in operator.proxy.asked if "/secrets" in one.path]
    assert all(one.method == "POST" or one.path.endswith("/secrets/ten-small") for one in asked)
    assert sum(one.method == "POST" and one.is_decided for one in asked) == 1
    assert "made-once" not in operator.log.read_text()


def test_nothing_is_asked_outside_the_namespace(small: Small) -> None:
    operator = small.leader()
    small.apply("eleven", 11)
    small.wait_ready("eleven")
    outside = {one.path for one in operator.proxy.asked if f"/namespaces/{small.operators.namespace}/" not in one.path}
    discovery = {path for path in outside if path.count("/") <= 3}
    rivals = {"/apis/coordination.k8s.io/v1/leases"}
    assert outside - discovery == rivals, "only the discovery of API groups, and of other installations"
    assert not [one for one in operator.proxy.asked if one.status == 403]


def test_the_log_tells_each_transition_once(small: Small) -> None:
    operator = small.leader()
    small.apply("twelve", 12)
    small.wait_ready("twelve")

    def told() -> list[tuple[str, str]]:
        return [(line["from"], line["to"]) for line in operator.lines() if line["message"] == "condition changed"]

    wait_until(lambda: len(told()) >= 2, "both are in the log")
    operator.wait_quiet()
    assert told() == [("-", "False/Progressing"), ("False/Progressing", "True/Small")]


def test_sigint_stops_too(small: Small) -> None:
    operator = small.leader()
    operator.signal(signal.SIGINT)
    assert operator.wait() == 0
