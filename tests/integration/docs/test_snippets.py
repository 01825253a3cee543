"""What the pages tell people to apply is accepted by a real API server, and what they tell people to type is understood."""

import base64
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.control import ControlPlane
from tests.support.charts import chart_values

pytestmark = pytest.mark.control_plane

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
CID = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
OURS = "pinion.dev/v1alpha1"


def blocks(page: Path, language: str) -> list[str]:
    """Return what stands between fences of a language; a line of three backticks alone opens one or closes any."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    for line in page.read_text().splitlines(keepends=True):
        if line.startswith("```"):
            inside = not inside
            if inside:
                found.append((line.removeprefix("```").strip(), []))
        elif inside:
            found[-1][1].append(line)
    return ["".join(lines) for named, lines in found if named == language]


def documents() -> dict[str, dict[str, Any]]:
    """Return each document in YAML that a page or an example shows."""
    texts = {f"{page.name} {n}": block for page in PAGES for n, block in enumerate(blocks(page, "yaml"))}
    texts |= {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "examples").rglob("*.yaml")}
    return {
        f"{name}.{number}": document
        for name, text in texts.items()
        for number, document in enumerate(yaml.safe_load_all(text.replace("bafy...", CID)))
    }


def manifests() -> dict[str, dict[str, Any]]:
    """Return each of our objects; a part of a spec is put into the smallest whole object."""
    parts = {name: document for name, document in documents().items() if document.keys() & SMALLEST.keys()}
    found = {name: part if "apiVersion" in part else merged(SMALLEST, part) for name, part in parts.items()}
    return {name: document for name, document in found.items() if document["apiVersion"] == OURS}


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    inner = {key: merged(base[key], value) for key, value in more.items() if isinstance(value, dict) and key in base}
    return {**base, **more, **inner}


SMALLEST: dict[str, Any] = {
    "apiVersion": OURS,
    "kind": "ModelDeployment",
    "metadata": {"name": "m"},
    "spec": {"model": {"source": {"huggingFace": {"repo": "org/model"}}}},
}
MANIFESTS = manifests()


@pytest.mark.parametrize("document", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_is_accepted(control_plane: ControlPlane, crds: None, namespace: str, document: dict[str, Any]) -> None:
    document = {**document, "metadata": {"name": document["metadata"]["name"]}}
    where = (f"--namespace={namespace}", "--filename=-", "--dry-run=server", "--validate=strict")
    control_plane.kubectl("create", *where, input=json.dumps(document))


def test_what_is_no_object_is_values_of_the_chart() -> None:
    values = [document for document in documents().values() if not document.keys() & SMALLEST.keys()]
    assert values
    for document in values:
        assert document.keys() <= chart_values().keys()


def test_there_are_manifests_of_both_kinds() -> None:
    assert {document["kind"] for document in MANIFESTS.values()} == {"ModelDeployment", "IpfsBackend"}


def test_the_roles_are_understood(control_plane: ControlPlane) -> None:
    lines = [line for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith(("kubectl create role ", "kubectl create rolebinding "))]
    made = [yaml.safe_load(control_plane.kubectl(*command[1:], "--dry-run=client", "--output=yaml")) for command in commands]
    assert sorted((one["kind"], one["metadata"]["name"]) for one in made) == [
        ("Role", "pinion-hub-token"),
        ("RoleBinding", "alice"),
        ("RoleBinding", "pinion-hub-token"),
    ]


def test_the_line_that_names_hosts_is_understood(control_plane: ControlPlane, namespace: str) -> None:
    lines = [line for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    (command,) = [shlex.split(line) for line in lines if line.startswith("kubectl patch secret ")]
    control_plane.kubectl("create", "secret", "generic", command[3], f"--namespace={namespace}", "--from-literal=token=hf")
    control_plane.kubectl(*(namespace if word == "models" else word for word in command[1:]))
    data = json.loads(control_plane.kubectl("get", "secret", command[3], f"--namespace={namespace}", "--output=json"))["data"]
    assert base64.b64decode(data["hosts"]).decode() == "huggingface.co,mirror.example:8080"
    assert base64.b64decode(data["token"]) == b"hf"


def test_argo_cd_gets_the_script_for_both_kinds() -> None:
    folder = ROOT / "examples/gitops/argocd"
    (program,) = re.findall(r"<<'EOF'\n(.*?)^EOF$", (folder / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    keys = [f"resource.customizations.health.pinion.dev_{kind}" for kind in ("ModelDeployment", "IpfsBackend")]
    assert json.loads(done.stdout)["data"] == dict.fromkeys(keys, (folder / "health.lua").read_text())
