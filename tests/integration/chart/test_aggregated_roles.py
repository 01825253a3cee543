"""Whoever has `view`, `edit` or `admin` in a namespace has it for our kinds, as a real API server sees it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from tests.support.charts import render
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

KINDS = ("modeldeployments", "ipfsbackends")
LOOK, CHANGE = {"get", "list", "watch"}, {"create", "update", "patch", "delete", "deletecollection"}
MODEL = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm"},
    "spec": {"model": {"source": {"huggingFace": {"repo": "org/model"}}}},
}
BACKEND = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "ipfs"},
    "spec": {"type": "Kubo", "managed": {}},
}


def aggregated(*settings: str) -> list[dict[str, Any]]:
    """Return the roles that join others by their label."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return [one for one in render(*settings) if any(key.startswith(prefix) for key in one["metadata"].get("labels", {}))]


def test_a_confined_install_brings_them_too_and_a_value_leaves_them_out() -> None:
    assert len(aggregated()) == 2
    assert aggregated("operator.namespaces={models}") == aggregated()
    assert not aggregated("rbac.aggregate=false")


@pytest.fixture(scope="module")
def roles(control_plane: ControlPlane, crds: None) -> Iterator[None]:
    """Install them."""
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": aggregated("operator.namespaces={models}")})
    control_plane.kubectl("apply", "-f", "-", input=objects)
    try:
        for name in ("view", "edit", "admin"):
            wait_until(lambda name=name: "pinion.dev" in control_plane.kubectl("get", "clusterrole", name, "-o", "json"), name)
        yield
    finally:
        control_plane.kubectl("delete", "-f", "-", input=objects)


User = Callable[..., str]


@pytest.fixture
def user(control_plane: ControlPlane, roles: None, namespace: str) -> Callable[[str], User]:
    """Give a function that makes a user with a role in the namespace, and returns kubectl as that user."""

    def make(role: str) -> User:
        name = f"{role}-of-{namespace}"
        where = f"--namespace={namespace}"
        control_plane.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--user={name}", where)

        def kubectl(*arguments: str, input: str | None = None) -> str:
            return control_plane.kubectl(*arguments, where, f"--as={name}", input=input)

        wait_until(lambda: rights(kubectl, namespace), f"{name} has rights")
        return kubectl

    return make


def rights(kubectl: User, namespace: str) -> dict[str, set[str]]:
    """Return the verbs that the user has on each of our resources, by the API server's own word."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    found: dict[str, set[str]] = {}
    answer = json.loads(kubectl("create", "--validate=false", "-f", "-", "-o", "json", input=json.dumps(review)))
    for rule in answer["status"]["resourceRules"]:
        for resource in rule["resources"] if "pinion.dev" in rule["apiGroups"] else ():
            found.setdefault(resource, set()).update(rule["verbs"])
    return found


def wait_for_rights(kubectl: User, namespace: str, wanted: dict[str, set[str]]) -> None:
    """Wait until the user has these rights and no others: the roles that are joined come one after the other."""
    wait_until(lambda: rights(kubectl, namespace) == wanted, f"exactly these rights: {wanted}")


def test_view_looks_and_changes_nothing(user: Callable[[str], User], control_plane: ControlPlane, namespace: str) -> None:
    viewer = user("view")
    looked_at = [*KINDS, *(f"{kind}/status" for kind in KINDS), "modeldeployments/scale"]
    wait_for_rights(viewer, namespace, dict.fromkeys(looked_at, LOOK))
    control_plane.kubectl("apply", f"--namespace={namespace}", "-f", "-", input=json.dumps(MODEL))
    assert "minilm" in viewer("get", "pinion")
    for refused in (["delete", "mdep/minilm"], ["scale", "mdep/minilm", "--replicas=2"], ["annotate", "mdep/minilm", "a=b"]):
        with pytest.raises(KubectlError, match="forbidden"):
            viewer(*refused)


@pytest.mark.parametrize("role", ["edit", "admin"])
def test_edit_and_admin_do_all_but_write_a_status(user: Callable[[str], User], namespace: str, role: str) -> None:
    editor = user(role)
    wanted = {
        **dict.fromkeys(KINDS, LOOK | CHANGE),
        **dict.fromkeys((f"{kind}/status" for kind in KINDS), LOOK),
        "modeldeployments/scale": LOOK | {"update", "patch"},
    }
    wait_for_rights(editor, namespace, wanted)
    for obj, kind in ((MODEL, "mdep/minilm"), (BACKEND, "ipfsb/ipfs")):
        editor("apply", "-f", "-", input=json.dumps(obj))
        editor("annotate", kind, "pinion.dev/reconcile=now")
        for how in (
            ["--type=merge", '-p={"status":{"observedGeneration":1}}'],
            ["--type=json", '-p=[{"op":"remove","path":"/status"}]'],
        ):
            with pytest.raises(KubectlError, match="forbidden"):
                editor("patch", kind, "--subresource=status", *how)
    editor("scale", "mdep/minilm", "--replicas=3")
    assert json.loads(editor("get", "mdep/minilm", "-o", "json"))["spec"]["replicas"] == 3
    for kind in ("mdep/minilm", "ipfsb/ipfs"):
        editor("delete", kind)


def test_rights_end_at_the_namespace(user: Callable[[str], User]) -> None:
    editor = user("edit")
    with pytest.raises(KubectlError, match="forbidden"):
        editor("get", "mdep", "--all-namespaces")
