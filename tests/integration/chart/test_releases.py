"""The chart's life in a cluster, with each Helm: installed, upgraded, taken away, and what stays."""

import json

import pytest

from tests.support.definitions import wait_established
from tests.support.helm import CHART, DEFINITIONS, PREVIOUS_CHART, Helm, HelmFailed

pytestmark = pytest.mark.control_plane

WHERE = ("--namespace", "pinion-system")
MODEL = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm", "namespace": "default"},
    "spec": {"model": {"source": {"huggingFace": {"repo": "org/model"}}}},
}


def test_a_release_from_the_previous_chart_to_its_end(helm: Helm) -> None:
    helm("install", "pinion", PREVIOUS_CHART, *WHERE, "--set", "operator.workers=7,operator.affinity=null")
    wait_established(helm.plane, "crd", *DEFINITIONS)
    helm.plane.kubectl("apply", "-f", "-", input=json.dumps(MODEL))
    before, uid = helm.definitions(), helm.get("mdep", "minilm")["metadata"]["uid"]
    assert len(before) == 2

    # Two ways to keep what was set: all values as they were stored, or only those that somebody gave.
    for way in ("--reuse-values", "--reset-then-reuse-values"):
        helm("upgrade", "pinion", CHART, *WHERE, way)
        (container,) = helm.get("deploy", "pinion-operator", "-n", "pinion-system")["spec"]["template"]["spec"]["containers"]
        told = {one["name"]: one.get("value") for one in container["env"]}
        assert (told["PINION_WORKERS"], told["PINION_MONITORING_NAMESPACES"]) == ("7", "monitoring"), way
    helm("upgrade", "pinion", CHART, *WHERE)
    changed = {**MODEL, "spec": {**MODEL["spec"], "storage": {"fallback": "None"}}}
    helm.plane.kubectl("apply", "-f", "-", input=json.dumps(changed))
    assert helm.get("mdep", "minilm")["spec"]["storage"]["fallback"] == "None", "a field that the previous chart did not know"
    assert helm.get("mdep", "minilm")["metadata"]["uid"] == uid
    operator = helm.get("deploy", "pinion-operator", "-n", "pinion-system")
    assert operator["metadata"]["labels"]["helm.sh/chart"] != "pinion-0.0.9"

    helm("upgrade", "pinion", CHART, *WHERE, "--set", "crds.enabled=false")
    assert helm.definitions() == before, "a chart that no longer brings the definitions leaves them"
    helm("upgrade", "pinion", CHART, *WHERE, "--set", "crds.enabled=true")
    assert helm.definitions() == before

    helm("uninstall", "pinion", *WHERE)
    assert helm.definitions() == before
    assert helm.get("mdep", "minilm")["metadata"]["uid"] == uid, "models outlive the release"
    assert not helm.get("deploy", "-n", "pinion-system")["items"]
    helm("install", "pinion", CHART, *WHERE)
    assert helm.definitions() == before, "a later release takes them up again"


def test_what_belongs_to_somebody_else_is_not_taken(helm: Helm) -> None:
    helm.plane.kubectl("apply", "--server-side", "-f", str(CHART.parents[1] / "crds"))
    with pytest.raises(HelmFailed, match=r"(?s)modeldeployments\.pinion\.dev|ipfsbackends\.pinion\.dev"):
        helm("install", "pinion", CHART, *WHERE)
    helm("install", "pinion", CHART, *WHERE, "--set", "crds.enabled=false")
    # The documented way of handing them over to a release.
    marks = ("meta.helm.sh/release-name=pinion", "meta.helm.sh/release-namespace=pinion-system")
    helm.plane.kubectl("annotate", "crd", *DEFINITIONS, *marks)
    helm.plane.kubectl("label", "crd", *DEFINITIONS, "app.kubernetes.io/managed-by=Helm")
    helm("upgrade", "pinion", CHART, *WHERE, "--set", "crds.enabled=true")
    with pytest.raises(HelmFailed, match="pinion"):
        helm("install", "second", CHART, "--namespace", "default")


def test_every_object_is_accepted_by_the_api_server(helm: Helm) -> None:
    """With everything that the values can switch on, but for kinds that this cluster lacks."""
    settings = ("operator.replicas=2", "monitoring.dashboard=true", "test.model=minilm", "operator.namespaces={default}")
    helm("install", "pinion", CHART, *WHERE, *(word for setting in settings for word in ("--set", setting)))
    budget = helm.get("pdb", "pinion-operator", "-n", "pinion-system")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    dashboard = helm.get("configmap", "pinion-operator-dashboard", "-n", "pinion-system")
    assert json.loads(dashboard["data"]["pinion.json"])["title"] == "Pinion"
    assert helm.get("role", "pinion-operator", "-n", "default")["rules"]
