"""What things are called: as ever where nothing is set, as told where something is, and never so that a cluster refuses it."""

from typing import Any

import pytest

from devcluster.gotools import HELM, HELM_4, GoTool
from tests.support.charts import environment, one, render
from tests.support.helm import CHART, Helm

CLUSTER_WIDE = {
    "ClusterRole r-operator",
    "ClusterRole r-operator-ns-edit",
    "ClusterRole r-operator-ns-view",
    "ClusterRoleBinding r-operator",
    "CustomResourceDefinition ipfsbackends.pinion.dev",
    "CustomResourceDefinition modeldeployments.pinion.dev",
    "Deployment r-operator",
    "Pod r-operator-test",
    "Role r-operator-lease",
    "RoleBinding r-operator-lease",
    "Service r-operator",
    "ServiceAccount r-operator",
}


def names(documents: list[dict[str, Any]]) -> set[str]:
    return {f"{document['kind']} {document['metadata']['name']}" for document in documents}


def test_where_nothing_is_set_names_stay_as_they_were() -> None:
    """Another name of the Lease would be a second leader, another selector a Deployment that cannot be upgraded."""
    documents = render()
    assert names(documents) == CLUSTER_WIDE
    assert environment(documents)["PINION_LEASE_NAME"] == "r-operator"
    selector = {"app.kubernetes.io/name": "pinion-operator", "app.kubernetes.io/instance": "r"}
    deployment, service = one(documents, "Deployment"), one(documents, "Service")
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == selector
    confined = names(render("operator.namespaces={models}"))
    assert confined - CLUSTER_WIDE == {
        "Role r-operator",
        "RoleBinding r-operator",
        "ClusterRole r-operator-ns-finalizers",
        "ClusterRoleBinding r-operator-ns-finalizers",
    }


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (["nameOverride=serving"], "r-serving"),
        (["fullnameOverride=serving"], "serving"),
        (["fullnameOverride=a", "nameOverride=b"], "a"),
    ],
)
def test_another_name_is_that_of_everything(settings: list[str], name: str) -> None:
    documents = render(*settings)
    assert names(documents) == {one.replace("r-operator", name) for one in CLUSTER_WIDE}
    assert environment(documents)["PINION_LEASE_NAME"] == name
    (lease,) = [one for one in documents if one["metadata"]["name"] == f"{name}-lease" and one["kind"] == "Role"]
    named = {name for rule in lease["rules"] for name in rule.get("resourceNames", [])}
    assert named == {name, f"{name}-key"}, "what it may read goes by the same name"
    bindings = [one for one in documents if one["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    assert {subject["name"] for one in bindings for subject in one["subjects"]} == {name}


LONG = "a" * 53  # Helm takes no longer one
AWKWARD = {
    "as long as may be": (LONG, "a" * 40 + "-operator"),
    "cut behind a dash": ("a" * 39 + "-" + "b" * 13, "a" * 39 + "-operator"),
    "a number": ("2024", "pinion-2024-operator"),
    "what YAML takes for something else": ("null", "null-operator"),
    "begins with a digit, and long": ("2" + "a" * 52, "pinion-2" + "a" * 32 + "-operator"),
    "with a dot": ("team.models", "team-models-operator"),
}


@pytest.mark.parametrize("tool", [HELM, HELM_4], ids=["Helm 3", "Helm 4"])
@pytest.mark.parametrize(("release", "name"), AWKWARD.values(), ids=AWKWARD.keys())
def test_an_awkward_release_name_gives_names_that_are_taken(release: str, name: str, tool: GoTool) -> None:
    values = {"operator": {"namespaces": ["2024"]}, "test": {"namespace": "2025"}}
    documents = render(values=values, release=release, namespace="2023", tool=tool)
    assert one(documents, "Service")["metadata"]["name"] == name
    for document in documents:
        about = document["metadata"]
        assert all(
            isinstance(text, str) for text in (about["name"], about.get("namespace", ""), *about.get("labels", {}).values())
        )


@pytest.mark.control_plane
def test_the_longest_names_are_accepted_by_the_api_server(helm: Helm) -> None:
    place, other = "n" * 63, "2024"
    for namespace in (place, other):
        helm.plane.create_namespace(namespace)
    where = ("--namespace", place)
    on = "operator.replicas=2,monitoring.dashboard=true"
    helm("install", LONG, *where, CHART, "--set", on, "--set-string", f"operator.namespaces={{{other},default}}")
    short = LONG[:40]
    assert helm.get("deploy", f"{short}-operator", "-n", place)["metadata"]["labels"]["app.kubernetes.io/instance"] == LONG
    assert helm.get("role", f"{short}-operator", "-n", other)["rules"]
    helm("uninstall", LONG, *where)

    full = "f" * 63
    helm("install", LONG, *where, CHART, "--set", f"fullnameOverride={full}", "--set", "monitoring.dashboard=true")
    assert helm.get("service", full, "-n", place)["spec"]["selector"]["app.kubernetes.io/instance"] == LONG
    helm("uninstall", LONG, *where)
    helm("install", "2024", "--namespace", other, CHART, "--set", f"crds.enabled=false,nameOverride={'b' * 22}")
    assert helm.get("service", f"pinion-2024-{'b' * 22}", "-n", other)
