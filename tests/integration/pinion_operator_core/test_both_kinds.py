"""The real program with its two real kinds side by side: they wake each other, and survive the loss of a leader."""

import json
import re
import signal
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
CHILDREN_OF_A_BACKEND = {
    "ConfigMap/ipfs-kubo",
    "NetworkPolicy/ipfs-kubo",
    "Secret/ipfs-kubo-",  # and what tells its content
    "Secret/ipfs-kubo-client",
    "Service/ipfs-kubo",
    "StatefulSet/ipfs-kubo",
}


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


class Objects:
    """The test's namespace as the administrator sees it."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane, self.namespace = control_plane, namespace

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self._control_plane.kubectl("--namespace", self.namespace, *arguments, input=input)

    def apply(self, kind: str, name: str, **spec: Any) -> None:
        body = {"apiVersion": "pinion.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.kubectl("apply", "-f", "-", input=json.dumps(body))

    def get(self, what: str, name: str) -> dict[str, Any]:
        """Return an object, {} when there is none."""
        found = self.kubectl("get", what, name, "--ignore-not-found", "-o", "json")
        return dict(json.loads(found)) if found else {}

    def children(self, uid: str) -> set[str]:
        kinds = "configmaps,secrets,services,serviceaccounts,deployments,statefulsets,controllerrevisions,networkpolicies"
        items = json.loads(self.kubectl("get", kinds, "-o", "json"))["items"]
        owned = [one for one in items if uid in [owner["uid"] for owner in one["metadata"].get("ownerReferences", [])]]
        return {re.sub("(ipfs-kubo-)[0-9a-f]{8}$", r"\1", f"{one['kind']}/{one['metadata']['name']}") for one in owned}

    def reason(self, what: str, name: str, condition: str) -> str:
        """Return status/reason of a condition, "" when it is not there."""
        conditions = self.get(what, name).get("status", {}).get("conditions", [])
        return next((f"{c['status']}/{c['reason']}" for c in conditions if c["type"] == condition), "")

    def message(self, what: str, name: str, condition: str) -> str:
        conditions = self.get(what, name).get("status", {}).get("conditions", [])
        return next((str(c["message"]) for c in conditions if c["type"] == condition), "")

    def make_both(self, hub: Hub, *, suspend: bool = False) -> None:
        """Apply a model that names a backend, then the backend; wait until each has what it can have without a node."""
        source, storage = {"huggingFace": {"repo": hub.minilm}}, {"backendRefs": [{"name": "ipfs"}]}
        self.apply("ModelDeployment", "minilm", model={"source": source}, storage=storage, suspend=suspend)
        wanted = "True/Suspended" if suspend else "False/DependencyNotReady"
        wait_until(lambda: self.reason("mdep", "minilm", "Ready") == wanted, f"the model is {wanted}")
        self.apply("IpfsBackend", "ipfs", type="Kubo", managed={})
        uid = self.get("ipfsb", "ipfs")["metadata"]["uid"]
        wait_until(lambda: self.children(uid) == CHILDREN_OF_A_BACKEND, "the children of the backend")

    def wait_at_rest(self) -> None:
        """Wait until all that becomes of the backend without a node is in its status: other controllers bring it, in steps."""
        waits = "data-ipfs-kubo-0 waits for a volume"
        wait_until(lambda: waits in self.message("ipfsb", "ipfs", "Ready"), "the backend has seen its claim")


@pytest.fixture
def objects(control_plane: ControlPlane, namespace: str) -> Objects:
    return Objects(control_plane, namespace)


def test_a_backend_and_a_model_know_of_each_other(objects: Objects, operator: OperatorProcess, hub: Hub) -> None:
    objects.make_both(hub)
    wait_until(lambda: "not Ready" in objects.message("mdep", "minilm", "ArtifactPinned"), "the model has seen the backend")
    backend = objects.get("ipfsb", "ipfs")
    assert backend["metadata"]["finalizers"] == ["pinion.dev/ipfsbackend"]
    wait_until(lambda: objects.get("ipfsb", "ipfs")["status"].get("boundModels") == 1, "the backend counts the model")
    assert not [one for one in operator.proxy.asked if one.status == 403], "the chart gives all rights that are used"
    asked_secrets = {
        one.path.rsplit("/", 1)[-1] for one in operator.proxy.asked if "/secrets" in one.path and one.method == "GET"
    }
    assert {name.removesuffix("-operator-key") for name in asked_secrets} == {objects.namespace}, "its own key alone is read"
    secret = objects.get("secret", "ipfs-kubo-client")
    assert secret["data"]["token"] not in operator.log.read_text()

    objects.kubectl("delete", "ipfsb", "ipfs", "--wait=false")
    wait_until(
        lambda: objects.reason("ipfsb", "ipfs", "DeletionBlocked").startswith("True"), "the deletion waits for the model"
    )
    objects.kubectl("delete", "mdep", "minilm", "--timeout=50s")
    wait_until(lambda: not objects.get("ipfsb", "ipfs"), "the backend goes after its last user", 60)
    uid = backend["metadata"]["uid"]
    wait_until(lambda: not objects.children(uid), "the garbage collector took its children", 120)
    assert operator.stop() == 0


def test_idle_objects_cost_no_write_and_a_restart_none(
    objects: Objects, operator: OperatorProcess, operators: Operators, hub: Hub
) -> None:
    objects.make_both(hub, suspend=True)
    objects.wait_at_rest()
    operator.wait_quiet()
    before, passes = len(operator.writes()), operator.metric("pinion_operator_reconcile_total")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total") >= passes + 2, "it looks again", 60)
    assert operator.writes()[before:] == []
    assert operator.stop() == 0
    second = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint})
    second.wait_leading()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total") >= 2, "a pass over each")
    second.wait_quiet()
    assert second.writes() == []


def test_a_standby_takes_over_from_a_leader_that_was_killed(objects: Objects, operators: Operators, hub: Hub) -> None:
    lease = {"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_LEASE_SECONDS": "24"}
    leader = operators.start(environment=lease)
    leader.wait_leading()
    objects.make_both(hub, suspend=True)
    standby = operators.start(environment=lease)
    wait_until(lambda: standby.http("/readyz")[0] == 200, "the standby is ready")
    objects.wait_at_rest()
    leader.wait_quiet()
    leader.signal(signal.SIGKILL)
    objects.kubectl("delete", "service", "ipfs-kubo")
    standby.wait_leading()
    wait_until(lambda: objects.get("service", "ipfs-kubo"), "the new leader puts it right")
    standby.wait_quiet()
    told = {(one.method, one.path.rsplit("/", 1)[-1]) for one in standby.writes()}
    assert told == {("PATCH", "ipfs-kubo"), ("PATCH", "status")}, "nothing else was wrong"
    assert not [one for one in standby.writes() if "modeldeployments" in one.path]
