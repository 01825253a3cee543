"""What an upgrade with --reuse-values renders from, and nulls: what is missing or null means its default, for every value."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.gotools import HELM, HELM_4, GoTool
from tests.support.charts import (
    WATCHED_KINDS,
    chart_values,
    chart_with,
    environment,
    paths,
    render,
    render_text,
    with_value,
    without,
)
from tests.support.helm import CHART, PREVIOUS_CHART

HELMS = pytest.mark.parametrize("tool", [HELM, HELM_4], ids=["Helm 3", "Helm 4"])
# Within resources null takes an entry away, which is what Helm's users know from elsewhere.
PATHS = [path for path in paths(chart_values()) if "resources" not in path[:-1]]
# All that values can switch on, so that every line of every template is rendered.
EVERYTHING: dict[str, Any] = {
    "global": {"imageRegistry": "registry.example", "imagePullSecrets": ["shared"]},
    "imagePullSecrets": [{"name": "own"}],
    "image": {"operator": {"repository": "team/operator", "tag": "1"}, "pullPolicy": "Always"},
    "proxy": {"http": "http://proxy.example:3128", "https": "http://proxy.example:3128", "noProxy": [".corp.example"]},
    "extraCA": {"configMap": "authorities", "key": "corp.pem"},
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "operator": {
        "allowedNetworks": ["10.0.0.0/8"],
        "replicas": 2,
        "workers": 8,
        "namespaces": ["models"],
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "a"}],
    },
    "hub": {"endpoint": "https://hub.example"},
    "runtime": {"customImages": {"allow": True, "prefixes": ["registry.example/team"]}},
    "podSecurity": {"runAs": "Cluster"},
    "monitoring": {"dashboard": True, "labels": {"a": "b"}, "interval": "10s"},
    "test": {"namespace": "models", "model": "minilm", "keySecretRef": {"name": "clients", "key": "search"}},
}


def rendered(tool: GoTool, values: dict[str, Any], chart: Path = CHART) -> str:
    return render_text(tool=tool, values=values, api=WATCHED_KINDS, chart=chart)


@HELMS
@pytest.mark.parametrize("path", PATHS, ids=[".".join(path) for path in PATHS])
def test_a_value_that_is_missing_or_null_is_its_default(path: tuple[str, ...], tool: GoTool, tmp_path: Path) -> None:
    # Neither half of a reference is of use alone.
    others = without(EVERYTHING, path[:2] if path[:2] == ("test", "keySecretRef") else path)
    null, wanted = with_value(others, path, None), rendered(tool, others)
    older = chart_with(without(chart_values(), path), tmp_path / "older")
    assert rendered(tool, null) == wanted, "null"
    assert rendered(tool, others, older) == wanted, "an earlier chart had not stored it"
    assert rendered(tool, null, older) == wanted, "null for what an earlier chart had not"


@HELMS
def test_without_any_stored_value_all_are_defaults(tool: GoTool, tmp_path: Path) -> None:
    assert rendered(tool, {}, chart_with({}, tmp_path)) == rendered(tool, {})


@HELMS
def test_the_values_of_the_previous_chart_are_taken(tool: GoTool, tmp_path: Path) -> None:
    previous = yaml.safe_load((PREVIOUS_CHART / "values.yaml").read_text())
    assert set(chart_values()) - set(previous), "there is something that it had not"
    assert rendered(tool, {}, chart_with(previous, tmp_path)) == rendered(tool, {})


@HELMS
def test_an_empty_value_is_no_missing_one(tool: GoTool) -> None:
    """Nothing, false and 0 are what somebody wants."""
    told = environment(render(tool=tool, values={"networkPolicy": {"monitoringNamespaces": []}}))
    assert told["PINION_MONITORING_NAMESPACES"] == ""
    documents = render("operator.replicas=0", "crds.keep=false", "crds.enabled=false", "rbac.aggregate=false", tool=tool)
    assert [one["spec"]["replicas"] for one in documents if one["kind"] == "Deployment"] == [0]
    assert "CustomResourceDefinition" not in {one["kind"] for one in documents}


@HELMS
def test_an_image_without_a_tag_has_that_of_its_default(tool: GoTool) -> None:
    """Kubo's is not the version of this chart."""
    told = environment(render("image.kubo.repository=team/kubo", "image.kubo.tag=", "image.runtime.tag=", tool=tool))
    assert told["PINION_KUBO_IMAGE"] == f"team/kubo:{chart_values()['image']['kubo']['tag']}"
    assert told["PINION_RUNTIME_IMAGE"] == "pinion-runtime:0.1.0"
