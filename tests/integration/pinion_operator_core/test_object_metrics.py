"""What /metrics says of each object: its readiness by reason, as its status has it, and whether its passes fail."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from devcluster.control import ControlPlane
from tests.support.api_proxy import Fault
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


def told(operator: OperatorProcess) -> set[str]:
    """Return kind/namespace/name and condition=status/reason of each series of the metric; each is 1."""
    found = set()
    for family in text_string_to_metric_families(operator.metrics()):
        for sample in family.samples:
            if sample.name == "pinion_operator_object_condition":
                assert sample.value == 1, sample
                of = sample.labels
                found.add(f"{of['kind']}/{of['namespace']}/{of['name']} {of['condition']}={of['status']}/{of['reason']}")
    return found


def wait_told(operator: OperatorProcess, *expected: str) -> None:
    """Wait until the metric has exactly these series."""
    wait_until(lambda: told(operator) == set(expected), f"the metric has {sorted(expected)}")


def test_readiness_follows_the_object_and_goes_with_it(small: Small) -> None:
    operator, of = small.leader(), f"IpfsBackend/{small.operators.namespace}"
    small.kubectl("create", "configmap", "one-small", "--from-literal=whose=a stranger's")
    small.apply("one", 1)
    small.apply("two", 2)
    wait_told(operator, f"{of}/one Ready=False/NameTaken", f"{of}/two Ready=True/Small")
    small.kubectl("delete", "configmap", "one-small")
    wait_told(operator, f"{of}/one Ready=True/Small", f"{of}/two Ready=True/Small")
    small.kubectl("delete", "ipfsbackend", "one")
    wait_told(operator, f"{of}/two Ready=True/Small")


def test_only_the_leader_tells_also_of_what_is_at_rest_and_it_asks_nobody(small: Small) -> None:
    leader, of = small.leader(), f"IpfsBackend/{small.operators.namespace}"
    small.apply("one", 1)
    wait_told(leader, f"{of}/one Ready=True/Small")
    second = small.start()
    wait_until(lambda: second.metric("pinion_operator_lease_renewals_total", result="standby"), "a standby waits")
    assert told(second) == set()
    assert leader.stop() == 0
    second.wait_leading()
    wait_told(second, f"{of}/one Ready=True/Small")
    assert second.writes() == [], "nothing has changed"

    def asked_meanwhile() -> list[str]:
        before = len(second.proxy.asked)
        for _ in range(20):
            told(second)
        asked = [one for one in second.proxy.asked[before:] if "watch=" not in one.query]
        return [one.path for one in asked if "/leases" not in one.path]

    wait_until(lambda: not asked_meanwhile(), "to be scraped costs no request, once the start's own are over")


def test_a_leader_that_has_lost_its_lease_tells_nothing_more(small: Small) -> None:
    leader, of = small.leader(PINION_LEASE_SECONDS="24"), f"IpfsBackend/{small.operators.namespace}"
    small.apply("one", 1)
    wait_told(leader, f"{of}/one Ready=True/Small")
    leader.proxy.faults.append(Fault(lambda request: "/leases/" in request.path, 500))
    wait_until(lambda: not told(leader), "nothing is told")
    assert leader.wait() == 1


def test_passes_that_fail_are_told_of_their_object_until_one_succeeds(small: Small) -> None:
    operator, name = small.leader(), "pinion_operator_object_failed_passes"
    small.apply("one", 1)
    small.wait_ready("one")
    of = {"kind": "IpfsBackend", "namespace": small.operators.namespace}
    assert name not in {line.partition("{")[0] for line in operator.metrics().splitlines()}
    fault = Fault(lambda request: request.method == "PATCH" and request.path.endswith(("/two-small", "/three-small")), 500)
    operator.proxy.faults.append(fault)
    small.apply("two", 2)
    small.apply("three", 3)
    for failing in ("two", "three"):
        wait_until(lambda of=of | {"name": failing}: operator.metric(name, **of) >= 3, f"passes over {failing} fail in a row")
    assert operator.metric(name, **of, name="one") == 0
    small.kubectl("delete", "ipfsbackend", "three")
    wait_until(lambda: operator.metric(name) == operator.metric(name, name="two"), "what is deleted has no series")
    operator.proxy.faults.remove(fault)
    small.kubectl("annotate", "ipfsbackend", "two", "others.test/look=again")
    small.wait_ready("two")
    wait_until(lambda: f"{name}{{" not in operator.metrics(), "its series is gone")


def test_a_model_of_the_real_operator(operator: OperatorProcess, control_plane: ControlPlane, namespace: str) -> None:
    def apply(**spec: object) -> None:
        model = {"source": {"huggingFace": {"repo": "org/model"}}}
        body = {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "one"}}
        control_plane.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps({**body, "spec": {"model": model, **spec}}))

    of = f"ModelDeployment/{namespace}/one"
    apply()
    wait_told(
        operator,
        f"{of} Ready=Unknown/Progressing",
        f"{of} Reconciling=True/ProgressingWithRetry",  # the hub that does not answer is asked again
        f"{of} Available=False/NoReadyReplicas",
    )
    apply(suspend=True)
    wait_told(operator, f"{of} Ready=True/Suspended", f"{of} Available=False/Suspended")
    control_plane.kubectl("-n", namespace, "delete", "mdep", "one")
    wait_told(operator)
