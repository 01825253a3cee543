"""What the values do, from the rendered manifests; each Helm renders the same."""

import subprocess
from typing import Any

import pytest
import yaml

from devcluster.gotools import HELM, HELM_4, ensure
from pinion_operator.settings import Settings
from tests.support.helm import CHART
from tests.support.model_world import World


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


def test_the_monitors_select_the_pods_that_are_made() -> None:
    """Labels and ports of the operator's pod are the chart's; those of a model's pods are the operator's."""
    documents = render("monitoring.podMonitor=true")
    monitors = {one["metadata"]["name"]: one["spec"] for one in documents if one["kind"] == "PodMonitor"}
    assert set(monitors) == {"r-operator", "r-operator-models"}
    model = World().serve().deployment
    for spec, template in (
        (monitors["r-operator"], one(documents, "Deployment")["spec"]["template"]),
        (monitors["r-operator-models"], model["spec"]["template"]),
    ):
        assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} <= ports
    assert set(monitors["r-operator-models"]["podTargetLabels"]) <= set(model["spec"]["template"]["metadata"]["labels"])


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


def test_the_definitions_come_before_the_objects_of_the_same_sync() -> None:
    waves = {
        d["metadata"]["annotations"].get("argocd.argoproj.io/sync-wave")
        for keep in ("true", "false")
        for d in render(f"crds.keep={keep}")
        if d["kind"] == "CustomResourceDefinition"
    }
    assert waves == {"-1"}


def test_the_operators_pod_is_restricted() -> None:
    pod, context = one(render(), "Deployment")["spec"]["template"]["spec"], container(render())["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("namespaces", ["", "operator.namespaces={models}"])
def test_no_rule_has_a_wildcard_and_no_secret_is_read_but_its_own_key(namespaces: str) -> None:
    rendered = render(*filter(None, [namespaces]))
    rules = [rule for document in rendered if document["kind"] in ("Role", "ClusterRole") for rule in document["rules"]]
    for rule in rules:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
    secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert {verb for rule in secrets if not rule.get("resourceNames") for verb in rule["verbs"]} == {"create", "delete"}
    named = [(rule["resourceNames"], rule["verbs"]) for rule in secrets if rule.get("resourceNames")]
    assert [verbs for _, verbs in named] == [["get"]]
    assert named[0][0][0].endswith("-operator-key")


@pytest.mark.parametrize("namespaces", ["", "operator.namespaces={models}"])
def test_your_objects_are_its_to_read_and_it_gives_nobody_rights(namespaces: str) -> None:
    rendered = render(*filter(None, [namespaces]))
    rules = [rule for document in rendered if document["kind"] in ("Role", "ClusterRole") for rule in document["rules"]]
    verbs: dict[str, set[str]] = {}
    for rule in rules:
        for resource in rule["resources"]:
            verbs.setdefault(resource, set()).update(rule["verbs"])
    assert verbs["modeldeployments"] == {"get", "list", "watch"}
    assert verbs["ipfsbackends"] == {"get", "list", "watch", "patch"}, "a patch brings and takes the finalizer"
    assert verbs["modeldeployments/status"] == verbs["ipfsbackends/status"] == {"patch"}
    assert verbs["pods"] == {"list", "watch"}
    assert verbs["persistentvolumeclaims"] == {"get"}
    assert not {"rbac.authorization.k8s.io", "authentication.k8s.io"} & {group for rule in rules for group in rule["apiGroups"]}
    assert not {"pods/exec", "serviceaccounts/token", "nodes", "namespaces"} & verbs.keys()


def test_local_addresses_are_refused_to_pods_until_they_are_allowed() -> None:
    for settings, value in (((), "false"), (("operator.allowLocalAddresses=true",), "true")):
        environment = {entry["name"]: entry.get("value") for entry in container(render(*settings))["env"]}
        assert environment["PINION_ALLOW_LOCAL_ADDRESSES"] == value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("operator.logLevel=INFO", ""),
        ("operator.allowedNetworks=null", ""),  # the values of a release from before there was such a value
        ("operator.allowedNetworks={10.96.0.0/12,fd00::/8,0.0.0.0/0,::/0,::ffff:10.0.0.0/104,1.2.3.4/32}", None),
    ],
)
def test_networks_for_the_operator(setting: str, value: str | None) -> None:
    environment = {entry["name"]: entry.get("value") for entry in container(render(setting))["env"]}
    told = value if value is not None else setting.partition("=")[2].strip("{}")
    assert environment["PINION_ALLOWED_NETWORKS"] == told
    needed = {"PINION_RUNTIME_IMAGE": "r", "PINION_KUBO_IMAGE": "k", "PINION_ALLOWED_NETWORKS": told}
    assert set(Settings.load([], needed).allowed_networks) == set(filter(None, told.split(",")))


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "10.0.0.1", "256.0.0.0/8", "10.0.0/8", "hub.example/24", "fd00::/129", "fd00/8", "", "10.0.0.0/8 "]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(AssertionError, match="allowedNetworks"):
        render(f"operator.allowedNetworks[0]={text}")


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
