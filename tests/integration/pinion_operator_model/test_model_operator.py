"""The operator with ModelDeployments against a real API server, controller-manager and hub mirror; there is no kubelet."""

import base64
import json
import re
from pathlib import Path

import pytest

from devcluster.control import ControlPlane
from pinion_contract.config import LiveConfig, RuntimeConfig
from tests.support import administrator
from tests.support.hub import Hub
from tests.support.journeys import kubo_backend
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators, grant
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

KINDS_OF_A_MODEL = ["ConfigMap", "ConfigMap", "ControllerRevision", "Deployment", "Pod", "Service", "Service", "ServiceAccount"]


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


def waiting_pod(models: Models, name: str) -> None:
    """Wait until the real Deployment controller has made the pod, and the operator has said that it waits for it."""
    models.wait_for(name, Ready="Unknown/Progressing", WorkloadReady="False/Starting", SourceResolved="True/Resolved")
    wait_until(lambda: [kind for kind, _ in sorted(models.children(name))] == KINDS_OF_A_MODEL, "the children")
    # What the Deployment's own status says comes later, and costs one more write.
    wait_until(
        lambda: [models.status(name)[one] for one in ("replicas", "updatedReplicas")] == [1, 1], "its one pod is counted"
    )


def test_a_model_gets_its_children_and_waits_for_its_pod(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm, replicas=2)
    waiting_pod(models, "minilm")
    status = models.status("minilm")
    assert status["phase"] == "Starting"
    assert (status["ready"], status["url"]) == ("0/2", f"http://minilm.{models.namespace}.svc")
    assert status["selector"] == "pinion.dev/deployment=minilm"
    assert re.fullmatch("[0-9a-f]{40}", status["model"]["commit"])
    assert status["model"]["sizeBytes"] > 80_000_000
    revision = status["model"]["revision"]
    children = models.children("minilm")
    config = RuntimeConfig.model_validate_json(children["ConfigMap", models.mounted("minilm", "config")]["data"]["config.json"])
    assert (config.deployment, config.source.commit, config.revision) == ("minilm", status["model"]["commit"], revision)
    assert config.source.endpoint == hub.endpoint
    live = LiveConfig.model_validate_json(children["ConfigMap", f"minilm-{revision}-live"]["data"]["live.json"])
    uid = models.get("mdep", "minilm")["metadata"]["uid"]
    assert live == LiveConfig(owner=uid, served_names=("minilm",))
    deployment = children["Deployment", "minilm"]
    assert deployment["spec"]["replicas"] == 1, "one pod fetches first"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "pinion.test/runtime:1"
    assert children["Service", "minilm"]["spec"]["ports"][0]["port"] == 80
    assert models.conditions("minilm")["ArtifactPinned"] == "False/NoBackend"


def test_the_longest_names_give_valid_children(control_plane: ControlPlane, operators: Operators, hub: Hub) -> None:
    name, backend, namespace = "m" * 39 + "7", "k" * 39 + "7", "n" + "-x" * 31
    control_plane.create_namespace(namespace)
    grant(control_plane, operators.namespace, namespaces=[namespace])
    operators.start(environment={"PINION_NAMESPACES": namespace, "PINION_HUB_ENDPOINT": hub.endpoint}).wait_leading()
    models = Models(control_plane, namespace)
    models.apply(name, hub.minilm)
    waiting_pod(models, name)
    assert models.status(name)["url"] == f"http://{name}.{namespace}.svc"
    models.apply_object(kubo_backend(backend))
    wait_until(lambda: models.kubectl("get", "pods", "--selector=pinion.dev/backend", "-o", "name"), "a pod of the backend")
    models.kubectl("delete", "mdep,ipfsb", "--all", "--timeout=50s")
    administrator.delete_namespace(control_plane.kubeconfig, namespace)


def test_the_operators_pull_policy_reaches_pods_of_both_kinds(
    control_plane: ControlPlane, operators: Operators, hub: Hub, namespace: str
) -> None:
    environment = {"PINION_IMAGE_PULL_POLICY": "Always", "PINION_HUB_ENDPOINT": hub.endpoint}
    operators.start(environment=environment).wait_leading()
    models = Models(control_plane, namespace)
    models.apply("minilm", hub.minilm)
    models.apply("own", hub.minilm, runtime={"imagePullPolicy": "Never"})
    models.apply_object(kubo_backend("ipfs"))
    assert models.get("mdep", "minilm")["spec"]["runtime"]["imagePullPolicy"] == ""
    for selector, wanted in (("deployment=minilm", "Always"), ("deployment=own", "Never"), ("backend=ipfs", "Always")):
        path = "jsonpath={.items[*].spec.containers[*].imagePullPolicy}"
        where = ("get", "pods", f"--selector=pinion.dev/{selector}", "-o", path)
        wait_until(lambda where=where: models.kubectl(*where), f"a pod of {selector}")
        assert set(models.kubectl(*where).split()) == {wanted}


def test_its_pods_pass_the_restricted_standard(models: Models, hub: Hub) -> None:
    """The namespace enforces it: the API server would refuse the pods."""
    models.control_plane.kubectl("label", "namespace", models.namespace, "pod-security.kubernetes.io/enforce=restricted")
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")


def test_pods_that_the_api_server_refuses_are_told(models: Models, hub: Hub) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    models.apply_object(quota)
    wait_until(lambda: models.get("resourcequota", "none").get("status", {}).get("hard"), "the quota holds")
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", WorkloadReady="False/QuotaExceeded", Reconciling="True/ProgressingWithRetry")


@pytest.mark.parametrize(
    ("repo", "reason"),
    [("pinion-tests/missing", "SourceNotFound"), ("pinion-tests/gated", "Unauthorized")],
    ids=["a repository that does not exist", "a gated repository"],
)
def test_a_source_that_cannot_be_had_is_stalled_and_makes_nothing(
    models: Models, operator: OperatorProcess, repo: str, reason: str
) -> None:
    models.apply("wrong", repo)
    models.wait_for("wrong", Ready="False/Failed", Stalled=f"True/{reason}", SourceResolved=f"False/{reason}")
    assert repo in models.message("wrong", "Stalled")
    assert "Reconciling" not in models.conditions("wrong")
    assert not models.children("wrong")
    operator.wait_quiet()


def test_a_revision_that_does_not_exist_is_stalled_until_it_is_corrected(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm, source={"revision": "no-such-branch"})
    models.wait_for("minilm", Stalled="True/SourceNotFound")
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    assert "Stalled" not in models.conditions("minilm")


def test_a_hub_that_does_not_answer_is_waited_for(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm, source={"endpoint": "http://127.0.0.1:9"})
    models.wait_for("minilm", Ready="Unknown/Progressing", Reconciling="True/ProgressingWithRetry")
    assert models.conditions("minilm")["SourceResolved"] == "False/OriginUnreachable"


def test_too_small_a_cache_is_refused_before_any_pod(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm, storage={"cache": {"sizeLimit": "10Mi"}})
    models.wait_for("minilm", Ready="False/Failed", Stalled="True/InsufficientStorage")
    assert "10485760" in models.message("minilm", "Stalled")
    assert not models.children("minilm")
    models.apply("minilm", hub.minilm, storage={"cache": {"sizeLimit": "1Gi"}})
    waiting_pod(models, "minilm")


def test_a_backend_that_is_not_there_is_waited_for_by_name(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm, storage={"backendRefs": [{"name": "ipfs"}]})
    models.wait_for("minilm", Ready="False/DependencyNotReady", ArtifactPinned="False/BackendUnavailable")
    assert "'ipfs'" in models.message("minilm", "Ready")
    assert not models.children("minilm")


def test_a_strangers_service_is_left_alone(models: Models, hub: Hub) -> None:
    mine = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "minilm"}, "spec": {"ports": [{"port": 1}]}}
    models.apply_object(mine)
    before = models.get("service", "minilm")
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="False/Failed", Stalled="True/NameTaken")
    assert "Service minilm" in models.message("minilm", "Stalled")
    assert models.get("service", "minilm") == before
    models.kubectl("delete", "mdep/minilm", "--wait=true")
    assert models.get("service", "minilm") == before


def test_suspend_stops_the_pods_and_resume_brings_them_back(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    models.apply("minilm", hub.minilm, suspend=True)
    models.wait_for("minilm", Ready="True/Suspended", Available="False/Suspended")
    assert "Reconciling" not in models.conditions("minilm")
    assert models.get("deployment", "minilm")["spec"]["replicas"] == 0
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")


def test_the_scale_subresource_reaches_the_deployment(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    revision = models.status("minilm")["model"]["revision"]
    models.kubectl("scale", "mdep/minilm", "--replicas=0")
    models.wait_for("minilm", Ready="True/ScaledToZero")
    assert models.get("deployment", "minilm")["spec"]["replicas"] == 0
    scale = models.kubectl(
        "get", "--raw", f"/apis/pinion.dev/v1alpha1/namespaces/{models.namespace}/modeldeployments/minilm/scale"
    )
    assert json.loads(scale)["status"]["selector"] == "pinion.dev/deployment=minilm"
    models.kubectl("scale", "mdep/minilm", "--replicas=3")
    waiting_pod(models, "minilm")
    assert models.get("deployment", "minilm")["spec"]["replicas"] == 1, "still nobody knows the CID"
    assert models.status("minilm")["model"]["revision"] == revision


def test_a_changed_child_is_put_right(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    models.kubectl(
        "patch", "service", "minilm", "--type=merge", "-p", '{"spec": {"selector": {"pinion.dev/deployment": "other"}}}'
    )
    wait_until(
        lambda: models.get("service", "minilm")["spec"]["selector"]["pinion.dev/deployment"] == "minilm", "the selector is back"
    )
    models.kubectl("delete", "configmap", models.mounted("minilm", "config"))
    waiting_pod(models, "minilm")


def test_a_new_image_rolls_and_asks_the_hub_nothing(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    before, asked = models.status("minilm")["model"], hub.stats()["api_requests"]
    models.apply("minilm", hub.minilm, runtime={"image": "pinion.test/runtime:2"})
    wait_until(lambda: models.status("minilm")["model"]["revision"] != before["revision"], "another revision")
    models.wait_for("minilm", Ready="Unknown/Progressing")
    assert models.status("minilm")["model"]["commit"] == before["commit"]
    assert hub.stats()["api_requests"] == asked
    assert [known["name"] for known in models.status("minilm")["revisions"]][1:] == [before["revision"]]


def test_nothing_is_written_while_nothing_happens(models: Models, operator: OperatorProcess, hub: Hub) -> None:
    models.apply("suspended", hub.minilm, suspend=True)
    models.apply("waiting", hub.minilm)
    models.apply("wrong", "pinion-tests/missing")
    models.wait_for("suspended", Ready="True/Suspended")
    models.wait_for("wrong", Stalled="True/SourceNotFound")
    waiting_pod(models, "waiting")
    operator.wait_quiet()
    before, passes = len(operator.writes()), operator.metric("pinion_operator_reconcile_total")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total") > passes + 4, "it looks at the pod again and again")
    assert len(operator.writes()) == before, operator.writes()[before:]


def test_an_operator_restart_writes_and_asks_nothing(
    models: Models, operator: OperatorProcess, operators: Operators, hub: Hub
) -> None:
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    operator.wait_quiet()
    assert operator.stop() == 0
    asked = hub.stats()["api_requests"]
    second = operators.start(
        environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_RUNTIME_IMAGE": "pinion.test/of-a-newer-operator:9"}
    )
    second.wait_leading()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total") > 3, "it has looked at the object")
    assert not second.writes()
    assert hub.stats()["api_requests"] == asked


def test_deletion_leaves_nothing(models: Models, hub: Hub, tmp_path: Path) -> None:
    models.apply("minilm", hub.minilm)
    waiting_pod(models, "minilm")
    assert not models.get("mdep", "minilm")["metadata"].get("finalizers"), "deleting never waits for the operator"
    models.kubectl("delete", "mdep/minilm", "--timeout=50s")
    wait_until(lambda: not models.children("minilm"), "the children to go")


def test_each_deployment_has_a_token_of_its_own(models: Models, hub: Hub) -> None:
    for name in ("one", "two"):
        models.apply(name, hub.minilm)
        waiting_pod(models, name)
    tokens = [base64.b64decode(models.get("secret", models.mounted(name, "peers"))["data"]["token"]) for name in ("one", "two")]
    assert tokens[0] != tokens[1]
    assert all(len(token) >= 32 for token in tokens)
