"""Webhooks that change what the operator applies for a model: left as they made it, told once, and never fought."""

import itertools
import json

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until
from tests.support.webhook import MutatingWebhook, Object, containers, pod_template, webhook

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods", "webhook"]

PULLED = "pinion.test/runtime:1"
MIRRORED = "mirror.test/pinion.test/runtime:1"


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, crds: None) -> Models:
    return Models(control_plane, namespace)


def start(operators: Operators, hub: Hub) -> OperatorProcess:
    operator = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint})
    operator.wait_leading()
    return operator


def mirror(obj: Object) -> None:
    """Let every image come from a mirror, as many clusters do, and be pulled always."""
    for container in containers(obj):
        if not container["image"].startswith("mirror.test/"):
            container["image"] = f"mirror.test/{container['image']}"
        container["imagePullPolicy"] = "Always"


def image(models: Models, name: str) -> str:
    return str(models.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"])


def told(models: Models) -> list[str]:
    """Return the notes of the Events that tell of changes by admission."""
    found = json.loads(models.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [event["note"] for event in found if event["reason"] == "ChangedByAdmission"]


def applied(operator: OperatorProcess, child: str) -> int:
    """Return how often a child was applied so far."""
    return sum(one.path.endswith(child) and one.method == "PATCH" for one in operator.writes(decided=True))


def test_a_mirrored_image_is_ready_told_once_and_never_fought(
    models: Models, operators: Operators, hub: Hub, told_pods: ToldPods, webhook: MutatingWebhook
) -> None:
    webhook.register(mirror)
    operator = start(operators, hub)
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="True/Serving", WorkloadReady="True/Running")
    assert image(models, "minilm") == MIRRORED
    operator.wait_quiet(3)
    message = models.message("minilm", "WorkloadReady")
    assert f'spec.template.spec.containers[runtime].image is "{MIRRORED}" instead of "{PULLED}"' in message
    assert 'imagePullPolicy is "Always" instead of "IfNotPresent"' in message
    wait_until(lambda: told(models), "an Event")
    assert len(told(models)) == 1, told(models)
    assert MIRRORED in told(models)[0]
    assert PULLED in told(models)[0]
    assert operator.stop() == 0

    second = start(operators, hub)
    wait_until(lambda: second.metric("pinion_operator_reconcile_total", kind="ModelDeployment") >= 2, "two passes")
    second.wait_quiet(3)
    assert second.writes() == []

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "runtime", "image": "somebody.test/other:2"}]}}}}
    models.kubectl("patch", "deployment", "minilm", "-p", json.dumps(patch))
    wait_until(lambda: image(models, "minilm") == MIRRORED, "somebody's edit is put right")
    models.wait_for("minilm", Ready="True/Serving")
    second.wait_quiet(3)
    assert applied(second, "/deployments/minilm") == 1
    assert len(told(models)) == 1, told(models)

    models.apply("minilm", hub.minilm, replicas=2)
    models.wait_for("minilm", Ready="True/Serving")
    wait_until(lambda: models.status("minilm")["ready"] == "2/2", "a later change goes through")
    second.wait_quiet(3)
    assert len(told(models)) == 1, told(models)

    webhook.remove()
    before = applied(second, "/deployments/minilm")
    models.kubectl("annotate", "mdep/minilm", "pinion.dev/reconcile=now")
    wait_until(lambda: image(models, "minilm") == PULLED, "what the webhook did is taken back when somebody asks")
    models.wait_for("minilm", Ready="True/Serving")
    second.wait_quiet(3)
    assert models.message("minilm", "WorkloadReady") == "2 of 2 pods run"
    assert applied(second, "/deployments/minilm") == before + 1


def touch_everything(obj: Object) -> None:
    """Change something in every kind of child that may be otherwise."""
    labels = obj["metadata"].setdefault("labels", {})
    labels |= {"app.kubernetes.io/part-of": "platform", "policy.test/seen": "yes"}
    obj["metadata"].setdefault("annotations", {})["policy.test/seen"] = "yes"
    if obj["kind"] == "Service" and obj["spec"].get("clusterIP") != "None":
        obj["spec"]["type"] = "NodePort"
    if obj["kind"] == "ServiceAccount":
        obj["automountServiceAccountToken"] = True
    if obj["kind"] == "NetworkPolicy" and len(obj["spec"]["ingress"]) == 3:
        obj["spec"]["ingress"].append({"from": [{"podSelector": {"matchLabels": {"policy.test/scan": "yes"}}}]})
    if template := pod_template(obj):
        template["metadata"]["labels"]["policy.test/seen"] = "yes"
        template["spec"]["tolerations"] = [{"key": "policy.test/pool", "operator": "Exists"}]
        for container in containers(obj):
            resources = container.setdefault("resources", {})
            resources.setdefault("requests", {})["cpu"] = "250m"
            resources.setdefault("limits", {}).update({"cpu": "250m", "ephemeral-storage": "2Gi"})
        if len(template["spec"]["containers"]) == 1:
            template["spec"]["containers"].append({"name": "sidecar", "image": "mesh.test/proxy:1"})


def test_every_kind_of_child_may_be_touched(
    models: Models, operators: Operators, hub: Hub, told_pods: ToldPods, webhook: MutatingWebhook
) -> None:
    webhook.register(touch_everything)
    operator = start(operators, hub)
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "1", "ephemeral-storage": "8Gi"}}
    models.apply("minilm", hub.minilm, runtime={"resources": resources})
    models.wait_for("minilm", Ready="True/Serving", WorkloadReady="True/Running")
    operator.wait_quiet(3)
    message = models.message("minilm", "WorkloadReady")
    for named in (
        "Service minilm: ",
        "ServiceAccount minilm-runtime: ",
        "NetworkPolicy minilm: ",
        "Deployment minilm: ",
        "ControllerRevision minilm-",
        "ConfigMap minilm-",
        'resources.requests.cpu is "250m" instead of "1"',
        'resources.limits.ephemeral-storage is "2Gi" instead of "8Gi"',
    ):
        assert named in message, message
    assert applied(operator, "/deployments/minilm") <= 3, "made, the CID known, and no more"
    assert operator.stop() == 0
    second = start(operators, hub)
    wait_until(lambda: second.metric("pinion_operator_reconcile_total", kind="ModelDeployment") >= 2, "two passes")
    second.wait_quiet(3)
    assert second.writes() == []


def wrap(obj: Object) -> None:
    for container in containers(obj):
        if container["command"][0] != "/policy/wrapper":
            container["command"] = ["/policy/wrapper", *container["command"]]


def test_a_command_that_is_another_is_stalled_and_not_asked_for_again_and_again(
    models: Models, operators: Operators, hub: Hub, webhook: MutatingWebhook
) -> None:
    webhook.register(wrap)
    operator = start(operators, hub)
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="False/Failed", Stalled="True/AdmissionConflict")
    operator.wait_quiet(10)
    said = models.message("minilm", "Stalled")
    assert 'containers[runtime].command is ["/policy/wrapper", ' in said
    assert applied(operator, "/deployments/minilm") <= 2
    webhook.remove()
    models.wait_for("minilm", timeout=120, WorkloadReady="False/Starting", Ready="Unknown/Progressing")
    assert "/policy/wrapper" not in containers(models.get("deployment", "minilm"))[0]["command"]


def test_labels_that_are_taken_away_are_stalled_and_named(
    models: Models, operators: Operators, hub: Hub, webhook: MutatingWebhook
) -> None:
    """What lost the label by which it is watched is not seen by any list or event."""

    def unlabel(obj: Object) -> None:
        obj["metadata"].get("labels", {}).pop("app.kubernetes.io/managed-by", None)

    webhook.register(unlabel)
    operator = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_RELIST_SECONDS": "1"})
    operator.wait_leading()
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="False/Failed", Stalled="True/AdmissionConflict")
    operator.wait_quiet(3)
    lists, before = operator.metric("pinion_operator_lists_total", result="done"), len(operator.writes())
    wait_until(lambda: operator.metric("pinion_operator_lists_total", result="done") >= lists + 4, "four more lists")
    assert "metadata.labels[app.kubernetes.io/managed-by]" in models.message("minilm", "Stalled")
    assert operator.writes()[before:] == []


def test_another_value_each_time_is_named_and_bounded(
    models: Models, operators: Operators, hub: Hub, told_pods: ToldPods, webhook: MutatingWebhook
) -> None:
    turns = itertools.count(3600)

    def shuffle(obj: Object) -> None:
        if obj["kind"] == "Deployment":
            obj["spec"]["progressDeadlineSeconds"] = next(turns)
            obj["metadata"].setdefault("annotations", {})["policy.test/at"] = str(next(turns))

    webhook.register(shuffle)
    operator = start(operators, hub)
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="True/Serving")
    for number in range(8):  # each of these writes meets the webhook, too
        models.kubectl("annotate", "--overwrite", "deployment", "minilm", f"others.test/round=n{number}")
        operator.wait_quiet(1)
    assert "spec.progressDeadlineSeconds is another value each time" in models.message("minilm", "WorkloadReady")
    models.wait_for("minilm", Ready="True/Serving")
    assert applied(operator, "/deployments/minilm") <= 6, "made, the CID known, and until it is clear that it differs each time"
    before = applied(operator, "/deployments/minilm")
    models.kubectl("annotate", "--overwrite", "deployment", "minilm", "others.test/round=last")
    operator.wait_quiet(3)
    assert applied(operator, "/deployments/minilm") == before
