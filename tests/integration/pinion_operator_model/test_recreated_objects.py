"""An object that is made anew under its name: deleted and applied at once, orphaning its children, or from a backup."""

import json
import secrets
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


@pytest.fixture
def repo(hub: Hub) -> str:
    name = f"pinion-tests/anew-{secrets.token_hex(4)}"
    hub.add_repo(name, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"weights"})
    return name


def uids(models: Models, kind: str) -> dict[str, str]:
    found = json.loads(models.kubectl("get", kind, "--selector=pinion.dev/deployment", "-o", "json"))["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in found}


def owners(models: Models, name: str) -> set[str]:
    """Return the uids that control the children of a deployment, pods aside."""
    children = [child for (kind, _), child in models.children(name).items() if kind != "Pod"]
    return {owner["uid"] for child in children for owner in child["metadata"].get("ownerReferences", [{"uid": "nobody"}])}


def serves(models: Models, name: str = "m") -> str:
    """Wait until it is Ready, and return its uid."""
    models.wait_for(name, Ready="True/Serving")
    return str(models.get("mdep", name)["metadata"]["uid"])


def test_an_object_that_is_deleted_and_applied_at_once_is_ready_again(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    first = serves(models)
    configuration = models.mounted("m", "config")
    models.kubectl("delete", "mdep", "m", "--wait=false")
    wait_until(lambda: not models.kubectl("get", "mdep", "m", "--ignore-not-found"), "it is gone")
    models.apply("m", repo)
    assert serves(models) != first
    assert owners(models, "m") == {models.get("mdep", "m")["metadata"]["uid"]}, "the predecessor's children are gone"
    assert models.mounted("m", "config") == configuration, (
        "the same content under the same name: what a kubelet still knows of it is right"
    )


def test_a_predecessors_pod_that_still_drains_does_not_count(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    serves(models)
    (old,) = uids(models, "pods")
    models.kubectl("patch", "pod", old, "--type=merge", "-p", '{"metadata": {"finalizers": ["tests.pinion.dev/drains"]}}')
    models.kubectl("delete", "mdep", "m", "--wait=true")
    models.apply("m", repo)
    serves(models)
    assert old in uids(models, "pods")
    assert models.status("m")["ready"] == "1/1"
    assert models.status("m")["serving"] == [{"cid": models.status("m")["model"]["cid"], "replicas": 1}]
    models.kubectl("patch", "pod", old, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


def test_orphaned_children_are_taken_over_and_their_pods_serve_on(
    models: Models, hub: Hub, operator: OperatorProcess, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo, replicas=2)
    serves(models)
    before, pods, children = (
        models.status("m")["model"],
        uids(models, "pods"),
        uids(models, "deploy,svc,cm,sa,controllerrevisions"),
    )
    asked = hub.stats()["api_requests"]
    models.kubectl("delete", "mdep", "m", "--cascade=orphan", "--wait=true")
    models.apply("m", repo, replicas=2)
    uid = serves(models)
    assert models.status("m")["model"] == {**before, "upstreamCommit": ""}, "where the branch is, nobody has asked yet"
    assert uids(models, "pods") == pods, "the pods serve on"
    assert uids(models, "deploy,svc,cm,sa,controllerrevisions") == children
    assert owners(models, "m") == {uid}
    assert hub.stats()["api_requests"] == asked, "nothing is asked again"
    operator.wait_quiet()
    models.kubectl("delete", "mdep", "m", "--wait=true")
    wait_until(lambda: not models.children("m"), "what was taken over goes with its new owner")
    wait_until(lambda: "peers" not in models.kubectl("get", "secrets", "-o", "name"), "so does the Secret")


def strip(child: dict[str, Any]) -> dict[str, Any]:
    """Return what a backup holds of an object: no owners, nothing of the server's."""
    kept = {name: value for name, value in child["metadata"].items() if name in ("name", "labels", "annotations")}
    return {**{name: value for name, value in child.items() if name != "status"}, "metadata": kept}


def test_children_that_somebody_else_has_restored_are_left_alone_with_the_command_that_helps(
    models: Models, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo)
    serves(models)
    service = strip(models.get("service", "m"))
    for name in ("clusterIP", "clusterIPs"):
        service["spec"].pop(name)
    models.kubectl("delete", "mdep", "m", "--wait=true")
    wait_until(lambda: not models.children("m"), "everything is gone")
    models.apply_object(service)  # by kubectl, as a backup tool would
    models.apply("m", repo)
    models.wait_for("m", Stalled="True/NameTaken")
    command = f"kubectl -n {models.namespace} delete services/m"
    assert command in models.message("m", "Stalled")
    models.kubectl(*command.split()[3:])
    serves(models)
