"""Rights and kinds that are not there: the leader is not ready and says why, objects say so, and it recovers by itself."""

import contextlib
import itertools
import json
from collections.abc import Iterator

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from tests.support import administrator
from tests.support.api_proxy import Fault
from tests.support.definitions import wait_established
from tests.support.operator_process import PROJECT, OperatorProcess, grant
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
SOON = {"PINION_REFUSED_SECONDS": "3", "PINION_WATCH_SECONDS": "3"}


def message(small: Small, name: str) -> str:
    """Return what the object says of Ready."""
    return str(small.get("ipfsbackend", name)["status"]["conditions"][0]["message"])


def wait_not_ready(operator: OperatorProcess, *words: str) -> None:
    """Wait until it says that it is not ready, and why; it is alive all the same, and leads."""
    wait_until(lambda: all(word in operator.http("/readyz")[1] for word in words), f"/readyz says {words}")
    assert operator.http("/readyz")[0] == 503
    wait_until(lambda: operator.http("/healthz")[0] == 200, "it is alive")
    assert operator.metric("pinion_operator_leading") == 1


def wait_ready_again(operator: OperatorProcess) -> None:
    wait_until(lambda: operator.http("/readyz") == (200, "ok: leading\n"), "it is ready again")
    assert operator.metric("pinion_operator_refused_seconds") == 0
    assert operator.process.poll() is None, "without a restart"


def test_a_role_that_lacks_a_kind_from_the_start(small: Small) -> None:
    small.operators.take_right_away("networking.k8s.io")
    operator = small.start(**SOON)
    small.apply("one", 1)
    wait_not_ready(operator, "may not list networkpolicies.networking.k8s.io", small.operators.namespace)
    assert operator.metric("pinion_operator_refused_seconds", kind="NetworkPolicy") >= 3
    small.wait_ready("one", "Unknown/OperatorForbidden")
    assert "may not list networkpolicies.networking.k8s.io" in message(small, "one")
    assert small.get("configmap", "one-small") == {}, "nothing is done on half of the picture"
    standby = small.start(**SOON)
    wait_until(lambda: standby.metric("pinion_operator_lease_renewals_total", result="standby"), "a standby waits")
    assert standby.http("/readyz") == (200, "ok: standing by\n")
    before = len(operator.writes())
    passes = operator.metric("pinion_operator_reconcile_total", result="hidden")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total", result="hidden") >= passes + 2, "it looks again")
    assert operator.writes()[before:] == [], "said once"
    small.operators.give_rights_back()
    wait_ready_again(operator)
    small.wait_ready("one")


def test_a_right_that_is_taken_away_while_it_runs(small: Small) -> None:
    operator = small.leader(**SOON)
    small.apply("one", 1)
    small.wait_ready("one")
    small.operators.take_right_away("apps")
    operator.proxy.end_watches()
    wait_not_ready(operator, "may not watch deployments.apps", "may not list statefulsets.apps")
    small.wait_ready("one", "Unknown/OperatorForbidden")
    small.apply("one", 2)  # its own kind is watched still
    wait_until(lambda: small.ready("one") == "Unknown/OperatorForbidden", "of the new generation too")
    small.operators.give_rights_back()
    wait_ready_again(operator)
    small.wait_ready("one")
    assert small.get("configmap", "one-small")["data"] == {"priority": "2"}


@pytest.mark.parametrize(
    ("verb", "resource", "told"),
    [
        ("patch", "configmaps", "may not patch configmaps in namespace"),
        ("patch", "ipfsbackends", "may not patch ipfsbackends.pinion.dev in namespace"),  # the finalizer, before any status
    ],
)
def test_a_write_that_is_forbidden_is_told_by_the_object(small: Small, verb: str, resource: str, told: str) -> None:
    take_verb_away(small, verb, resource)
    operator = small.leader(**SOON)
    small.apply("one", 1)
    small.wait_ready("one", "Unknown/OperatorForbidden")
    assert told in message(small, "one")
    assert operator.metric("pinion_operator_forbidden_objects", kind="IpfsBackend") == 1
    assert operator.http("/readyz")[0] == 200, "it does for others what it may"
    before = len(operator.writes(decided=True))
    failed = operator.metric("pinion_operator_reconcile_total", result="failed")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total", result="failed") >= failed + 2, "it tries again")
    written = [one for one in operator.writes(decided=True)[before:] if one.status < 400]
    assert written == [], "and says nothing else meanwhile"
    small.operators.give_rights_back()
    small.wait_ready("one")
    wait_until(lambda: operator.metric("pinion_operator_forbidden_objects", kind="IpfsBackend") == 0, "it is forgotten")


def test_a_refusal_of_a_moment_is_not_told(small: Small) -> None:
    operator = small.leader(PINION_REFUSED_SECONDS="60")
    text = 'secrets is forbidden: User "u" cannot create resource "secrets" in API group "" in the namespace "n"'
    briefly = Fault(lambda request: request.method == "POST" and request.path.endswith("/secrets"), 403, left=3, message=text)
    operator.proxy.faults.append(briefly)
    small.apply("one", 1)
    small.wait_ready("one")
    assert briefly.met == 3
    told = [line["to"] for line in operator.lines() if line["message"] == "condition changed"]
    assert not [one for one in told if "OperatorForbidden" in one]


def test_one_namespace_of_several(small: Small) -> None:
    """The other is served; what is refused is named with its namespace."""
    operators = small.operators
    plane, own = operators.control_plane, operators.namespace
    bare = f"{own}-bare"
    plane.create_namespace(bare)
    try:
        operators.may_lack_rights = True
        operator = small.start(**SOON, PINION_NAMESPACES=f"{own},{bare}")
        small.apply("one", 1)
        small.wait_ready("one")
        wait_not_ready(operator, f"may not list deployments.apps in namespace {bare}")
        assert own + " " not in operator.http("/readyz")[1]
        grant(plane, own, namespaces=[own, bare])
        wait_ready_again(operator)
        grant(plane, own, namespaces=[own])
    finally:
        administrator.delete_namespace(plane.kubeconfig, bare)


@pytest.fixture
def definitions(control_plane: ControlPlane, crds: None) -> Iterator[ControlPlane]:
    """Put the definitions back afterwards."""
    yield control_plane
    make_definitions(control_plane)


def delete_definition(plane: ControlPlane, plural: str) -> None:
    """Delete it with all objects of its kind, also those that other tests have left behind with a finalizer."""
    plane.kubectl("delete", "crd", f"{plural}.pinion.dev", "--wait=false")

    def gone() -> bool:
        if not plane.kubectl("get", "crd", f"{plural}.pinion.dev", "--ignore-not-found"):
            return True
        with contextlib.suppress(KubectlError):  # it may go in this very moment
            for one in json.loads(plane.kubectl("get", plural, "-A", "-o", "json"))["items"]:
                name = ("-n", one["metadata"]["namespace"], plural, one["metadata"]["name"])
                plane.kubectl("patch", *name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        return False

    wait_until(gone, f"the definition of {plural} is gone")


def make_definitions(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--server-side", "-f", str(PROJECT / "crds"))
    wait_established(plane, "-f", str(PROJECT / "crds"))


@pytest.mark.parametrize("plural", ["modeldeployments", "ipfsbackends"])
def test_a_definition_that_is_deleted_and_comes_back(definitions: ControlPlane, small: Small, plural: str) -> None:
    operator = small.leader(**SOON)
    small.apply("one", 1)
    small.wait_ready("one")
    delete_definition(definitions, plural)
    wait_not_ready(operator, f"{plural}.pinion.dev cannot be", "the API server has no such kind (404)")
    if plural == "modeldeployments":
        small.wait_ready("one", "Unknown/OperatorForbidden")
    make_definitions(definitions)
    wait_ready_again(operator)
    small.apply("one", 2)
    small.wait_ready("one")
    assert small.get("configmap", "one-small")["data"] == {"priority": "2"}


def test_a_definition_that_comes_after_the_operator(definitions: ControlPlane, small: Small) -> None:
    delete_definition(definitions, "ipfsbackends")
    operator = small.start(**SOON)
    wait_not_ready(operator, "ipfsbackends.pinion.dev cannot be listed", "the API server has no such kind (404)")
    make_definitions(definitions)
    wait_ready_again(operator)
    small.apply("one", 1)
    small.wait_ready("one")
    turns = itertools.count()

    def watched() -> float:
        """Change the object and return how many changes came: its watch may begin after any of them."""
        small.kubectl("annotate", "--overwrite", "ipfsbackend", "one", f"others.test/turn=n{next(turns)}")
        return operator.metric("pinion_operator_watch_events_total", kind="IpfsBackend", type="MODIFIED")

    wait_until(watched, "the kind is watched, not only listed")


def take_verb_away(small: Small, verb: str, resource: str) -> None:
    """Leave one verb on one resource out of the Roles, and out of the ClusterRole beside them."""
    operators = small.operators
    operators.may_lack_rights = True
    name = f"{operators.namespace}-operator"
    roles = [("-n", operators.namespace, "role", one) for one in (name, f"{name}-lease")]
    scopes = (*roles, ("clusterrole", f"{name}-{operators.namespace}-finalizers"))
    found = False
    for scope in scopes:
        rules = json.loads(operators.control_plane.kubectl("get", *scope, "--output=json"))["rules"]
        for rule in rules:
            if resource in rule["resources"] and verb in rule["verbs"]:
                found, rule["verbs"] = True, [one for one in rule["verbs"] if one != verb]
        operators.control_plane.kubectl("patch", *scope, "--type=merge", "-p", json.dumps({"rules": rules}))
    assert found, f"nobody grants {verb} on {resource}"
