"""What a person at the keyboard gets from the CRDs: explain, columns, scale, short names, the category."""

import json

import pytest

from devcluster.control import ControlPlane
from pinion_operator.api.crd import DEFINITIONS, build_crd
from tests.support.definitions import wait_established

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("crds")]

CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
MODEL = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm"},
    "spec": {"model": {"source": {"huggingFace": {"repo": "sentence-transformers/all-MiniLM-L6-v2"}}}},
}
BACKEND = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "store"},
    "spec": {"type": "Kubo", "managed": {}},
}
READY = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-01-01T00:00:00Z"}


@pytest.fixture
def applied(control_plane: ControlPlane, namespace: str) -> str:
    for obj in (MODEL, BACKEND):
        control_plane.kubectl("apply", f"--namespace={namespace}", "-f", "-", input=json.dumps(obj))
    return namespace


def patch_status(control_plane: ControlPlane, namespace: str, kind: str, name: str, status: dict[str, object]) -> None:
    patch = json.dumps({"status": status})
    control_plane.kubectl("patch", kind, name, f"--namespace={namespace}", "--subresource=status", "--type=merge", "-p", patch)


def test_client_side_apply_fits_into_its_annotation(control_plane: ControlPlane) -> None:
    crds = json.dumps({"apiVersion": "v1", "kind": "List", "items": [build_crd(definition) for definition in DEFINITIONS]})
    assert "configured" in control_plane.kubectl("apply", "--dry-run=server", "-f", "-", input=crds)


def test_explain_shows_the_docstrings(control_plane: ControlPlane) -> None:
    assert "Serves one model, of the Hugging Face hub or named by its CID" in control_plane.kubectl("explain", "mdep")
    text = control_plane.kubectl("explain", "modeldeployment.spec.limits.maxQueuedRequests")
    assert "429 and Retry-After" in " ".join(text.split())
    assert "by their content address" in control_plane.kubectl("explain", "ipfsb")
    fields = control_plane.kubectl("explain", "ipfsbackend.spec.managed", "--recursive")
    assert all(name in fields for name in ("image", "storageClassName", "swarm", "requests"))


def test_columns(control_plane: ControlPlane, applied: str) -> None:
    status = {
        "observedGeneration": 1,
        "conditions": [READY],
        "ready": "2/2",
        "updatedReplicas": 1,
        "url": "http://minilm.ns.svc",
        "source": "sentence-transformers/all-MiniLM-L6-v2",
        "message": "2 replicas serve it",
        "backend": {"active": "store"},
        "transfer": {"percent": 100},
        "model": {"cid": CID, "commit": "c" * 40, "sizeBytes": 91},
    }
    patch_status(control_plane, applied, "mdep", "minilm", status)
    header, row = control_plane.kubectl("get", "mdep", f"--namespace={applied}").splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "MODEL", "REPLICAS", "UPDATED", "PROGRESS", "BACKEND", "URL", "AGE"]
    repo = "sentence-transformers/all-MiniLM-L6-v2"
    assert row.split()[:9] == ["minilm", "True", "Serving", repo, "2/2", "1", "100", "store", "http://minilm.ns.svc"]
    header, row = control_plane.kubectl("get", "mdep", f"--namespace={applied}", "-o", "wide").splitlines()
    assert header.split()[10:] == ["CID", "COMMIT", "SIZE", "MESSAGE"]
    assert row.split()[10:] == [CID, "c" * 40, "91", "2", "replicas", "serve", "it"]

    patch_status(control_plane, applied, "ipfsb", "store", {"conditions": [{**READY, "reason": "Healthy"}], "boundModels": 2})
    header, row = control_plane.kubectl("get", "ipfsb", f"--namespace={applied}").splitlines()
    assert header.split() == ["NAME", "TYPE", "READY", "REASON", "BOUND", "AGE"]
    assert row.split()[:5] == ["store", "Kubo", "True", "Healthy", "2"]


def test_category_lists_both_kinds(control_plane: ControlPlane, applied: str) -> None:
    names = control_plane.kubectl("get", "pinion", f"--namespace={applied}", "--output=name").split()
    assert names == ["ipfsbackend.pinion.dev/store", "modeldeployment.pinion.dev/minilm"]


FOREIGN = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "models.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Model", "plural": "models", "categories": ["all"]},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}


def test_to_delete_all_models_of_another_operator_is_not_to_delete_ours(control_plane: ControlPlane, applied: str) -> None:
    """Other operators have a kind whose plural is `models`, and `all` is everybody's: neither may reach ours."""
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(FOREIGN))
    try:
        wait_established(control_plane, "crd/models.example.org")
        theirs = json.dumps({"apiVersion": "example.org/v1", "kind": "Model", "metadata": {"name": "m"}})
        control_plane.kubectl("apply", f"--namespace={applied}", "-f", "-", input=theirs)
        for what in ("models", "all"):
            deleted = control_plane.kubectl("delete", what, "--all", f"--namespace={applied}")
            assert "pinion.dev" not in deleted, f"`kubectl delete {what} --all` reached ours"
    finally:
        control_plane.kubectl("delete", "crd", "models.example.org")
    names = control_plane.kubectl("get", "pinion", f"--namespace={applied}", "--output=name").split()
    assert names == ["ipfsbackend.pinion.dev/store", "modeldeployment.pinion.dev/minilm"]


def test_scale_has_a_selector(control_plane: ControlPlane, applied: str) -> None:
    patch_status(control_plane, applied, "mdep", "minilm", {"replicas": 1, "selector": "pinion.dev/deployment=minilm"})
    control_plane.kubectl("scale", "mdep/minilm", f"--namespace={applied}", "--replicas=3")
    path = f"/apis/pinion.dev/v1alpha1/namespaces/{applied}/modeldeployments/minilm/scale"
    scale = json.loads(control_plane.kubectl("get", "--raw", path))
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 1, "selector": "pinion.dev/deployment=minilm"}


def test_wait_for_ready(control_plane: ControlPlane, applied: str) -> None:
    patch_status(control_plane, applied, "mdep", "minilm", {"observedGeneration": 1, "conditions": [READY]})
    output = control_plane.kubectl("wait", "--for=condition=Ready", "mdep/minilm", f"--namespace={applied}", "--timeout=50s")
    assert "condition met" in output
