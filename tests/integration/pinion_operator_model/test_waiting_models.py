"""Models whose pods are refused, or wait for what is not there: what Kubernetes says of it is in the status within a minute."""

import json
import secrets
import time
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess
from tests.support.told_pods import ToldPods
from tests.support.waiting import wait_until
from tests.support.webhook import MutatingWebhook, Object, pod_template, webhook

pytestmark = pytest.mark.control_plane

__all__ = ["webhook"]

WITHIN = 60.0  # seconds


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


def pod_of(models: Models, name: str) -> dict[str, Any]:
    """Return the pod of a model, once the real controllers have made it."""
    return wait_until(
        lambda: next((one for (kind, _), one in models.children(name).items() if kind == "Pod"), None), f"a pod of {name}"
    )


def warn(models: Models, pod: dict[str, Any], reason: str, note: str) -> None:
    """Say something about a pod as its kubelet would."""
    meta, now = pod["metadata"], time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    about = {"apiVersion": "v1", "kind": "Pod", **{name: meta[name] for name in ("name", "namespace", "uid")}}
    models.apply_object(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{secrets.token_hex(6)}"},
            "eventTime": now,
            "reportingController": "kubelet",
            "reportingInstance": "node",
            "action": "Binding",
            "reason": reason,
            "note": note,
            "type": "Warning",
            "regarding": about,
        }
    )


def questions(operator: OperatorProcess) -> int:
    """Return how often events were asked for."""
    return sum(one.method == "GET" and "/events" in one.path for one in operator.proxy.settled)


def test_a_secret_that_is_missing_is_named_and_asked_about_only_while_the_pod_waits(
    models: Models, operator: OperatorProcess, hub: Hub
) -> None:
    models.apply("minilm", hub.minilm, auth={"mode": "APIKey", "secretRef": {"name": "keys"}})
    pod = pod_of(models, "minilm")
    note = 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found'
    warn(models, pod, "FailedMount", note)
    models.wait_for("minilm", timeout=WITHIN, WorkloadReady="False/FailedMount", Reconciling="True/ProgressingWithRetry")
    assert models.message("minilm", "WorkloadReady") == f"pod {pod['metadata']['name']}: FailedMount: {note}"
    asked, since = questions(operator), time.monotonic()
    wait_until(lambda: questions(operator) >= asked + 2, "it asks again", 60)
    assert time.monotonic() - since > 9, "and not too often"
    operator.wait_quiet(3)
    with ToldPods(models.control_plane, models.namespace):
        models.wait_for("minilm", Ready="True/Serving", WorkloadReady="True/Running")
        asked = questions(operator)
        operator.wait_quiet(12)
        assert questions(operator) == asked, "nothing waits"
    assert not [
        one for one in operator.proxy.asked if one.method == "GET" and "/secrets" in one.path and "-key" not in one.path
    ]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("priorityClassName", "no PriorityClass with name nosuch was found"),
        ("serviceAccountName", 'serviceaccount "nosuch" not found'),
    ],
)
def test_a_pod_that_names_what_is_not_there(models: Models, hub: Hub, webhook: MutatingWebhook, field: str, name: str) -> None:
    def change(obj: Object) -> None:
        if template := pod_template(obj):
            template["spec"][field] = "nosuch"

    webhook.register(change)
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", timeout=WITHIN, WorkloadReady="False/InvalidPodOverride")
    assert name in models.message("minilm", "WorkloadReady")


def test_a_quota_for_deployments_is_told_and_raised(models: Models, operator: OperatorProcess, hub: Hub) -> None:
    hard = {"count/deployments.apps": "0"}
    quota: dict[str, Any] = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": hard}}
    models.apply_object(quota)
    wait_until(lambda: models.get("resourcequota", "none").get("status", {}).get("hard"), "the quota holds")
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", timeout=WITHIN, Stalled="True/QuotaExceeded", WorkloadReady="False/QuotaExceeded")
    assert "exceeded quota: none" in models.message("minilm", "Stalled")
    operator.wait_quiet(5)
    models.kubectl(
        "patch", "resourcequota", "none", "--type=merge", "-p", json.dumps({"spec": {"hard": {next(iter(hard)): "9"}}})
    )
    models.wait_for("minilm", timeout=120, WorkloadReady="False/Starting", Ready="Unknown/Progressing")


def test_a_full_quota_of_secrets_keeps_nobody_from_serving(models: Models, operator: OperatorProcess, hub: Hub) -> None:
    """Whether our Secret is there is asked by creating it for show: with a full quota nobody can tell."""
    models.apply("minilm", hub.minilm)
    pod = pod_of(models, "minilm")
    count = len(models.kubectl("get", "secrets", "-o", "name").split())
    models.kubectl("create", "quota", "full", f"--hard=count/secrets={count}")
    wait_until(lambda: models.get("resourcequota", "full").get("status", {}).get("used"), "the quota holds")
    waiting = {"state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}, "ready": False, "restartCount": 0}
    status = {"status": {"containerStatuses": [{"name": "runtime", "image": "x", "imageID": "", **waiting}]}}
    patch = ("pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p", json.dumps(status))
    models.kubectl("patch", *patch)
    wait_until(lambda: any("/secrets" in one.path and "dryRun" in one.query for one in operator.proxy.asked), "it asks for it")
    with ToldPods(models.control_plane, models.namespace):
        models.wait_for("minilm", Ready="True/Serving")
    assert operator.failed_passes(kind="ModelDeployment") <= 0
