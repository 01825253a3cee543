"""What the values do, from the rendered manifests; each Helm renders the same."""

import subprocess
from typing import Any

import pytest
import yaml

from devcluster.gotools import HELM, HELM_4, ensure
from tests.support.helm import CHART


def render(*settings: str, tool: Any = HELM, api: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    ensure([tool])
    command = [str(tool.program("helm")), "template", "r", str(CHART), "--namespace", "ns", "--kube-version", "1.34"]
    command += [word for setting in settings for word in ("--set", setting)]
    command += [word for version in api for word in ("--api-versions", version)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def kinds(documents: list[dict[str, Any]]) -> list[str]:
    return sorted(document["kind"] for document in documents)


def one(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def container(documents: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = one(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def test_both_helms_render_the_same() -> None:
    assert render("operator.replicas=2", tool=HELM) == render("operator.replicas=2", tool=HELM_4)


def test_what_watches_is_made_where_its_kind_exists() -> None:
    monitors = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")
    assert not {"PodMonitor", "PrometheusRule"} & set(kinds(render()))
    assert {"PodMonitor", "PrometheusRule"} <= set(kinds(render(api=monitors)))
    off = ("monitoring.podMonitor=false", "monitoring.prometheusRule=false")
    assert not {"PodMonitor", "PrometheusRule"} & set(kinds(render(*off, api=monitors)))


def test_one_replica_has_no_budget_and_more_are_spread() -> None:
    assert "PodDisruptionBudget" not in kinds(render())
    several = render("operator.replicas=2")
    assert "PodDisruptionBudget" in kinds(several)
    assert one(several, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert "PodDisruptionBudget" not in kinds(render("operator.replicas=2", "operator.podDisruptionBudget=false"))


def test_each_resource_can_be_set_and_taken_away() -> None:
    assert container(render("operator.resources.limits.memory=1Gi"))["resources"]["limits"] == {"memory": "1Gi"}
    assert "cpu" not in container(render("operator.resources.requests.cpu=null"))["resources"]["requests"]
    assert not container(render("operator.resources=null"))["resources"]


def test_only_our_definitions_are_brought_and_they_can_be_left_out() -> None:
    names = {d["metadata"]["name"] for d in render() if d["kind"] == "CustomResourceDefinition"}
    assert names == {"modeldeployments.pinion.dev", "ipfsbackends.pinion.dev"}
    assert "CustomResourceDefinition" not in kinds(render("crds.enabled=false"))
    kept = {
        keep: {
            d["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for d in render(f"crds.keep={keep}")
            if d["kind"] == "CustomResourceDefinition"
        }
        for keep in ("true", "false")
    }
    assert kept == {"true": {"keep"}, "false": {None}}


def test_the_operators_pod_is_restricted() -> None:
    pod, context = one(render(), "Deployment")["spec"]["template"]["spec"], container(render())["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_no_rule_has_a_wildcard_and_no_secret_is_listed() -> None:
    rules = [rule for document in render() if document["kind"] in ("Role", "ClusterRole") for rule in document["rules"]]
    for rule in rules:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
    secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert not {"list", "watch", "update", "patch"} & {verb for rule in secrets for verb in rule["verbs"]}


REFUSED = {
    "a value that nobody knows": "operator.replica=2",
    "too many replicas": "operator.replicas=6",
    "no number": "operator.workers=many",
    "no URL": "hub.endpoint=hub",
    "a third state": "monitoring.podMonitor=perhaps",
    "no namespace": "networkPolicy.monitoringNamespaces={Monitoring}",
}


@pytest.mark.parametrize("setting", REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused(setting: str) -> None:
    with pytest.raises(AssertionError, match=setting.partition("=")[0].split(".")[0]):
        render(setting)
