"""Objects from Git, and what the operator makes of them: no drift however often applied, and states that all tools agree on."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.gotools import HELM_4, ensure
from tests.support.gitops import argo_health, flux_state
from tests.support.hub import Hub
from tests.support.kstatus import kstatus
from tests.support.model_objects import Models
from tests.support.operator_process import Operators
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

FRESH = ("InProgress", "InProgress", "Progressing")
DONE = ("Current", "Current", "Healthy")


def manifest(hub: Hub, **spec: Any) -> dict[str, Any]:
    """Return an object with all that comes back from API servers in another form: defaults in lists, quantities, ports."""
    runtime = {
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "0.5e1", "memory": "2048Mi"}},
    }
    model = {"source": {"huggingFace": {"repo": hub.minilm}}}
    labels = {"app.kubernetes.io/instance": "team-models", "argocd.argoproj.io/instance": "team-models"}
    storage = {"cache": {"sizeLimit": "1024Mi"}}
    access = {"allowFrom": [{"namespaceSelector": {"matchLabels": {"team": "search"}}}]}
    return {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "m", "labels": labels},
        "spec": {"model": model, "runtime": runtime, "storage": storage, "networkPolicy": access, **spec},
    }


def said(obj: dict[str, Any]) -> tuple[str, str, str]:
    return kstatus(obj), flux_state(obj), argo_health(obj)


def start(operators: Operators, hub: Hub) -> None:
    operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint}).wait_leading()


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, crds: None) -> Models:
    return Models(control_plane, namespace)


def test_nothing_counts_as_done_before_the_operator_has_looked(
    models: Models, operators: Operators, hub: Hub, told_pods: ToldPods, tmp_path: Path
) -> None:
    """The newest Helm waits by kstatus: so does `helm install --wait` of a chart that holds a model."""
    backend = {"kind": "IpfsBackend", "metadata": {"name": "b"}, "spec": {"type": "Kubo", "managed": {}}}
    models.apply_object({"apiVersion": "pinion.dev/v1alpha1", **backend})
    assert said(models.get("ipfsb", "b")) == FRESH
    models.kubectl("delete", "ipfsb/b")
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: team\nversion: 1.0.0\n")
    (chart / "templates/model.json").write_text(json.dumps(manifest(hub)))
    assert helm(models, tmp_path, "install", "team", chart, "--wait", "--timeout=4s") != "", "nobody has looked at it"
    assert said(models.get("mdep", "m")) == FRESH

    start(operators, hub)
    assert helm(models, tmp_path, "upgrade", "team", chart, "--wait", "--timeout=90s") == ""
    assert said(models.get("mdep", "m")) == DONE


def test_applied_again_and_again_nothing_changes(models: Models, operators: Operators, hub: Hub, told_pods: ToldPods) -> None:
    start(operators, hub)
    text = json.dumps(manifest(hub))
    models.kubectl("apply", "-f", "-", input=text)
    models.wait_for("m", timeout=90, Ready="True/Serving")
    operators.started[0].wait_quiet()
    before = models.get("mdep", "m")
    children = models.children("m")
    assert "unchanged" in models.kubectl("apply", "-f", "-", input=text)
    waiting = manifest(hub, storage={"backendRefs": [{"name": "one"}, {"name": "two"}], "fallback": "None"})
    waiting["metadata"]["name"] = "waiting"
    models.apply_object(waiting)
    models.wait_for("waiting", Ready="False/DependencyNotReady")
    text = "\n---\n".join((text, json.dumps(waiting)))
    for how in ((), ("--server-side", "--field-manager=argocd-controller", "--force-conflicts")):
        assert models.kubectl("diff", *how, "-f", "-", input=text) == "", "kubectl exits with 1 when there is a difference"
    operators.started[0].wait_quiet()
    after = models.get("mdep", "m")
    assert (after["metadata"]["resourceVersion"], said(after)) == (before["metadata"]["resourceVersion"], DONE)
    assert {key: child["metadata"]["resourceVersion"] for key, child in models.children("m").items()} == {
        key: child["metadata"]["resourceVersion"] for key, child in children.items()
    }
    stored, written = after["spec"]["runtime"]["resources"], manifest(hub)["spec"]["runtime"]["resources"]
    assert {key: stored[key] for key in written} == written, "as it was written"
    tracked = {key for key, child in children.items() if "argocd.argoproj.io/instance" in child["metadata"].get("labels", {})}
    assert not tracked, "a label that is copied makes a child Git's own, to be pruned"


def test_what_scales_is_not_undone_by_git(models: Models, operators: Operators, hub: Hub, told_pods: ToldPods) -> None:
    """A manifest without replicas owns none; one with replicas sets them again."""
    start(operators, hub)
    text = json.dumps(manifest(hub))
    models.kubectl("apply", "-f", "-", input=text)
    models.wait_for("m", timeout=90, Ready="True/Serving")
    models.kubectl("scale", "mdep/m", "--replicas=2")
    models.kubectl("apply", "-f", "-", input=text)
    assert models.get("mdep", "m")["spec"]["replicas"] == 2
    assert models.kubectl("diff", "-f", "-", input=text) == ""
    models.kubectl("apply", "-f", "-", input=json.dumps(manifest(hub, replicas=1)))
    assert models.get("mdep", "m")["spec"]["replicas"] == 1


def test_each_state_is_what_all_tools_say(models: Models, operators: Operators, hub: Hub, told_pods: ToldPods) -> None:
    start(operators, hub)
    models.apply_object(manifest(hub))
    models.wait_for("m", timeout=90, Ready="True/Serving")
    assert said(models.get("mdep", "m")) == DONE
    models.apply_object(manifest(hub, suspend=True))
    models.wait_for("m", Ready="True/Suspended")
    wait_until(lambda: said(models.get("mdep", "m")) == ("Current", "Current", "Suspended"), "suspended")
    models.apply_object(manifest(hub, model={"source": {"huggingFace": {"repo": "pinion-tests/missing"}}}))
    models.wait_for("m", Stalled="True/SourceNotFound")
    assert said(models.get("mdep", "m")) == ("Failed", "Failed", "Degraded")
    models.kubectl("scale", "mdep/m", "--replicas=0")
    models.apply_object(manifest(hub))
    models.wait_for("m", Ready="True/ScaledToZero")
    wait_until(lambda: said(models.get("mdep", "m")) == DONE, "scaled to zero as asked")


def helm(models: Models, home: Path, *arguments: str | Path) -> str:
    """Run the newest Helm in the namespace; return its complaint, "" for none."""
    ensure([HELM_4])
    where = [f"--kubeconfig={models.control_plane.kubeconfig}", f"--namespace={models.namespace}"]
    done = subprocess.run(
        [str(HELM_4.program("helm")), *where, *map(str, arguments)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done.stderr if done.returncode else ""
