"""Our chart as a part of somebody's own: condition, alias, `global`, other names."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.gotools import HELM, HELM_4, GoTool, ensure
from tests.support.charts import container, environment, one, render
from tests.support.helm import CHART

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
Parent = Callable[..., list[dict[str, Any]]]


@pytest.fixture(params=[HELM, HELM_4], ids=["Helm 3", "Helm 4"])
def tool(request: pytest.FixtureRequest) -> GoTool:
    found: GoTool = request.param
    ensure([found])
    return found


@pytest.fixture
def parent(tool: GoTool, tmp_path: Path) -> Parent:
    """Give a function that renders a chart with ours among its dependencies, as `helm dependency update` brings it."""

    def render_parent(*settings: str, values: dict[str, Any] | None = None, **dependency: Any) -> list[dict[str, Any]]:
        chart = tmp_path / "platform"
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        needs = {
            "name": "pinion",
            "version": VERSION,
            "repository": f"file://{CHART}",
            "condition": "pinion.enabled",
            **dependency,
        }
        about = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [needs]}
        (chart / "Chart.yaml").write_text(json.dumps(about))
        (chart / "values.yaml").write_text(json.dumps(values or {}))
        own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "of-the-parent"}}
        (chart / "templates/own.yaml").write_text(json.dumps(own))
        homes = {f"HELM_{name}_HOME": str(tmp_path / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        command = [str(tool.program("helm")), "dependency", "update", str(chart)]
        done = subprocess.run(command, env=os.environ | homes, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return render(*settings, tool=tool, chart=chart)

    return render_parent


def kinds(documents: list[dict[str, Any]]) -> set[str]:
    return {document["kind"] for document in documents}


def pods(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one(documents, "Deployment")["spec"]["template"]["spec"], one(documents, "Pod")["spec"]]


def test_its_condition_is_honoured(parent: Parent) -> None:
    assert {"Secret", "Deployment"} <= kinds(parent("pinion.enabled=true"))
    assert kinds(parent("pinion.enabled=false")) == {"Secret"}
    assert "Deployment" in kinds(parent(values={"pinion": {"enabled": True, "operator": {"workers": 8}}}))
    with pytest.raises(AssertionError, match="enabled: false does nothing here"):
        parent("pinion.enabled=false", condition="somebody.else")


def test_under_another_name(parent: Parent) -> None:
    documents = parent("serving.operator.workers=8", alias="serving", condition="serving.enabled")
    deployment = one(documents, "Deployment")
    assert deployment["metadata"]["name"] == "r-operator", "an alias renames nothing that runs"
    assert deployment["metadata"]["labels"]["helm.sh/chart"] == f"serving-{VERSION}"
    assert environment(documents)["PINION_WORKERS"] == "8"


def test_its_registry_and_secrets_are_taken(parent: Parent) -> None:
    documents = parent(
        values={
            "global": {
                "imageRegistry": "registry.example:5000/mirror/",
                "imagePullSecrets": ["shared", {"name": "more"}],
                "storageClass": "fast",  # what other charts read
                "security": {"allowInsecureImages": True},
            },
            "pinion": {
                "image": {"runtime": {"repository": "ghcr.io/team/runtime"}, "kubo": {"repository": "localhost/kubo"}},
                "imagePullSecrets": [{"name": "own"}, {"name": "shared"}],
            },
        }
    )
    told, where = environment(documents), "registry.example:5000/mirror"
    assert container(documents)["image"] == f"{where}/pinion-operator:{VERSION}"
    assert told["PINION_RUNTIME_IMAGE"] == f"{where}/team/runtime:{VERSION}", "the registry that a repository names is replaced"
    assert told["PINION_KUBO_IMAGE"].startswith(f"{where}/kubo:")
    for pod in pods(documents):
        assert pod["imagePullSecrets"] == [{"name": "own"}, {"name": "shared"}, {"name": "more"}]
        assert pod["containers"][0]["image"] == container(documents)["image"]


@pytest.mark.parametrize("values", [{}, {"global": None}, {"global": {"imageRegistry": None, "imagePullSecrets": None}}])
def test_without_any_of_it_nothing_is_added(parent: Parent, values: dict[str, Any]) -> None:
    documents = parent(values=values)
    assert container(documents)["image"] == f"pinion-operator:{VERSION}"
    assert environment(documents)["PINION_KUBO_IMAGE"].startswith("ipfs/kubo:")
    assert not any("imagePullSecrets" in pod for pod in pods(documents))


@pytest.mark.parametrize("key", ["operator", "image", "crds", "rbac", "hub", "networkPolicy", "monitoring", "test"])
def test_a_map_that_the_parent_sets_to_null_is_the_default(parent: Parent, key: str) -> None:
    """Helm takes what is null out of a chart's own values, but hands it on to a chart below."""
    wanted = [one for one in parent() if one["kind"] != "Secret"]
    assert [one for one in parent(values={"pinion": {key: None}}) if one["kind"] != "Secret"] == wanted
    assert [one for one in parent(f"pinion.{key}=null") if one["kind"] != "Secret"] == wanted
