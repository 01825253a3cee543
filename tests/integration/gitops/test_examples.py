"""Every folder of examples is built by kustomize, taken by a real API server, and makes the release that the pages name."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.control import ControlPlane
from devcluster.gotools import CONTROL, HELM, HELM_4, GoTool, ensure
from tests.support.helm import CHART, ROOT

EXAMPLES = ROOT / "examples"
FOLDERS = sorted({path.parent for path in EXAMPLES.rglob("*.yaml")})
OURS = "pinion.dev/v1alpha1"
# What the pages say: `helm install pinion charts/pinion --namespace pinion-system`, `deployment/pinion-operator`.
RELEASE = re.search(
    r"^helm install (\S+) charts/pinion --namespace (\S+)", (ROOT / "docs/install.md").read_text(), re.MULTILINE
)


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def kustomize(folder: Path) -> list[dict[str, Any]]:
    ensure([CONTROL])
    command = [str(CONTROL.program("kubectl")), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def named(objects: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["kind"], one["metadata"]["name"]) for one in objects)


def folder_name(folder: Path) -> str:
    return str(folder.relative_to(EXAMPLES))


def test_the_pages_name_a_release() -> None:
    assert RELEASE is not None
    assert RELEASE.groups() == ("pinion", "pinion-system")


@pytest.mark.parametrize("folder", FOLDERS, ids=folder_name)
def test_a_folder_is_built_with_all_that_lies_in_it(folder: Path) -> None:
    lying = [one for path in folder.glob("*.yaml") if path.stem != "kustomization" for one in documents(path.read_text())]
    assert lying
    assert named(kustomize(folder)) == named(lying)


@pytest.mark.control_plane
@pytest.mark.parametrize("folder", [EXAMPLES / "quickstart", EXAMPLES / "gitops/models"], ids=folder_name)
def test_a_folder_of_models_is_accepted(control_plane: ControlPlane, crds: None, namespace: str, folder: Path) -> None:
    built = kustomize(folder)
    assert {one["kind"] for one in built if one["apiVersion"] == OURS} == {"IpfsBackend", "ModelDeployment"}
    for one in built:
        one["metadata"].pop("namespace", None)
        control_plane.kubectl("apply", f"--namespace={namespace}", "--dry-run=server", "-f", "-", input=json.dumps(one))


@pytest.mark.control_plane
def test_the_quickstart_is_applied_as_the_pages_say(control_plane: ControlPlane, crds: None, namespace: str) -> None:
    for way in ("-f", "-k"):
        said = control_plane.kubectl(
            "apply", f"--namespace={namespace}", "--dry-run=server", way, str(EXAMPLES / "quickstart/")
        )
        assert [line.split()[0] for line in said.splitlines()] == [
            "ipfsbackend.pinion.dev/ipfs",
            "modeldeployment.pinion.dev/minilm",
        ]


def flux_release() -> tuple[str, str, str, dict[str, Any]]:
    """Return name, namespace and place of the release that Flux makes, by its rules, and its values."""
    (one,) = (one for one in kustomize(EXAMPLES / "gitops/flux/operator") if one["kind"] == "HelmRelease")
    spec, own = one["spec"], one["metadata"]
    target = spec.get("targetNamespace")
    name = spec.get("releaseName") or (f"{target}-{own['name']}" if target else own["name"])
    return name, target or own["namespace"], spec.get("storageNamespace") or own["namespace"], spec["values"]


def argo_release() -> tuple[str, str, dict[str, Any]]:
    """Return name and namespace of the release that Argo CD renders, by its rules, and its values."""
    one = next(one for one in kustomize(EXAMPLES / "gitops/argocd") if one["metadata"]["name"] == "pinion")
    helm = one["spec"]["source"]["helm"]
    return helm.get("releaseName") or one["metadata"]["name"], one["spec"]["destination"]["namespace"], helm["valuesObject"]


def test_both_tools_make_the_release_that_the_pages_speak_of() -> None:
    assert RELEASE is not None
    name, namespace = RELEASE.groups()
    assert flux_release()[:3] == (name, namespace, namespace), "`helm test` looks where the release is kept"
    assert argo_release()[:2] == (name, namespace)


@pytest.mark.parametrize("tool", [HELM, HELM_4], ids=["Helm 3", "Helm 4"])
@pytest.mark.parametrize("release", [flux_release, argo_release], ids=["Flux", "Argo CD"])
def test_the_chart_takes_their_values(release: Callable[[], tuple[Any, ...]], tool: GoTool, tmp_path: Path) -> None:
    ensure([tool])
    values = release()[-1]
    (tmp_path / "values.json").write_text(json.dumps(values))
    command = [
        str(tool.program("helm")),
        "template",
        "pinion",
        str(CHART),
        "--kube-version",
        "1.34",
        "-f",
        str(tmp_path / "values.json"),
    ]
    rendered = documents(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    (operator,) = [one for one in rendered if one["kind"] == "Deployment"]
    assert operator["metadata"]["name"] == "pinion-operator"
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    runtime = next(one["value"] for one in container["env"] if one["name"] == "PINION_RUNTIME_IMAGE")
    for image, wanted in ((container["image"], values["image"]["operator"]), (runtime, values["image"]["runtime"])):
        assert image.startswith(f"{wanted['repository']}:")


@pytest.mark.parametrize("page", sorted(EXAMPLES.rglob("*.md")), ids=folder_name)
def test_a_page_names_files_and_folders_that_are_there(page: Path) -> None:
    text = page.read_text()
    files = set(re.findall(r"`([\w./-]+\.(?:yaml|lua)|[\w./-]+/)`", text))
    assert files
    assert not [name for name in files if not (page.parent / name).exists()]
