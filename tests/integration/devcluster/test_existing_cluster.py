"""Somebody's cluster: a real API server of the test's own, which stands for one that holds more than ours."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import install
from devcluster.control import ControlPlane
from devcluster.existing import ExistingCluster, ExistingError
from devcluster.images.spec import ImageSpec
from devcluster.kubectl import KubectlError
from devcluster.paths import REPOSITORY
from devcluster.steps import UnfinishedError
from tests.support.definitions import wait_established
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(600)]

CRDS = str(REPOSITORY / "crds")
KINDS = "namespaces,crds,clusterroles,clusterrolebindings"
ALL_KINDS = f"{KINDS},deployments,services,configmaps,secrets"
NAMESPACES = {"default", "kube-node-lease", "kube-public", "kube-system"}  # that a cluster makes by itself
SLOW = 150  # seconds: on a busy machine a definition took more than one minute to go
MODEL = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm"},
    "spec": {"model": {"source": {"huggingFace": {"repo": "org/model"}}}},
}


class Somebodys(ExistingCluster):
    """A cluster whose kubeconfig lies in the test's own folder."""

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        users = {"KUBECONFIG": str(plane.kubeconfig), "PINION_CONTEXT": "pinion", "PINION_REGISTRY": "registry.example/team"}
        super().__init__({**os.environ, **users})
        self.state, self.plane = folder / "existing", plane


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Start a cluster for this module: releases own what is cluster-wide. Each test leaves it empty."""
    with ControlPlane() as running:
        wait_for_rest(running)
        yield running


@pytest.fixture
def cluster(tmp_path: Path, plane: ControlPlane) -> Iterator[Somebodys]:
    made = Somebodys(tmp_path, plane)
    yield made
    if made.state.exists() or names(made, "crds"):  # a test that failed, and the next one needs an empty cluster too
        plane.stop()
        plane.start()
        wait_for_rest(plane)


def install_chart(cluster: ExistingCluster) -> None:
    """Install without waiting for pods: there are no nodes."""
    install.ensure_namespace(cluster, install.SYSTEM_NAMESPACE)
    install.helm(cluster, "install", install.RELEASE, str(install.CHART), f"--namespace={install.SYSTEM_NAMESPACE}")


def wait_for_rest(plane: ControlPlane) -> None:
    """Wait until a new cluster has all that it makes by itself, some of it a moment after its start."""
    seen: set[str] = set()

    def rests() -> bool:
        nonlocal seen
        before, seen = seen, listed(plane, ALL_KINDS)
        namespaces = NAMESPACES | {name[1:] for name in listed(plane, "namespaces")}
        return seen == before and {f"{name}/kube-root-ca.crt" for name in namespaces} <= seen

    wait_until(rests, "a cluster that makes nothing more by itself")


def listed(plane: ControlPlane, kinds: str) -> set[str]:
    found = json.loads(plane.kubectl("get", kinds, "-A", "-o", "json"))["items"]
    return {f"{one['metadata'].get('namespace', '')}/{one['metadata']['name']}" for one in found}


def names(cluster: Somebodys, kinds: str) -> set[str]:
    return listed(cluster.plane, kinds)


def test_what_was_brought_is_taken_away_and_nothing_else(cluster: Somebodys) -> None:
    before = names(cluster, ALL_KINDS)
    assert not cluster.is_up()
    cluster.up()
    assert (cluster.context, cluster.kubeconfig.stat().st_mode & 0o777) == ("pinion", 0o600)
    install_chart(cluster)
    install.ensure_namespace(cluster, "demo")
    wait_established(cluster.plane, "crd/modeldeployments.pinion.dev")
    cluster.kubectl("apply", "--namespace=demo", "--filename=-", input=json.dumps(MODEL))
    assert cluster.is_up()
    cluster.up()  # what is ours is in nobody's way

    cluster.down()
    assert names(cluster, ALL_KINDS) == before
    assert not cluster.is_up()
    assert not cluster.state.exists()
    cluster.down()


def test_foreign_pinions_and_namespaces_are_left_alone(cluster: Somebodys) -> None:
    cluster.plane.kubectl("apply", "--server-side", "--filename", CRDS)
    # One that is deleted before it is established takes a minute to go.
    wait_established(cluster.plane, "crd")
    with pytest.raises(ExistingError, match=r"modeldeployments\.pinion\.dev"):
        cluster.up()
    with pytest.raises(ExistingError, match=r"modeldeployments\.pinion\.dev"):
        cluster.down()
    assert "/modeldeployments.pinion.dev" in names(cluster, "crds")
    cluster.plane.kubectl("delete", "--filename", CRDS, f"--timeout={SLOW}s", timeout=SLOW + 10)

    cluster.plane.create_namespace("platform")
    install.helm(cluster, "install", "other", str(install.CHART), "--namespace=platform", "--set=crds.enabled=false")
    with pytest.raises(ExistingError, match="platform/other-operator"):
        cluster.up()
    install.helm(cluster, "uninstall", "other", "--namespace=platform", "--wait")

    cluster.up()
    cluster.plane.create_namespace("pinion-system")
    with pytest.raises(install.NamespaceError, match="pinion-system"):
        install.ensure_namespace(cluster, "pinion-system")
    cluster.down()
    assert {"/pinion-system", "/platform"} <= names(cluster, "namespaces")
    cluster.plane.kubectl("delete", "namespace", "pinion-system", "platform", f"--timeout={SLOW}s", timeout=SLOW + 10)


HELD = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/held"]}}
BACKEND = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "kubo", "finalizers": ["pinion.dev/ipfsbackend"]},
    "spec": {"type": "TrustlessGateway", "external": {"gatewayURLs": ["https://gateway.example"]}},
}


def bring(cluster: Somebodys) -> None:
    """Bring all that a demo brings, with an operator that is dead."""
    cluster.up()
    install_chart(cluster)
    install.ensure_namespace(cluster, "demo")
    wait_established(cluster.plane, "crd")
    cluster.patience = 3


def test_what_a_dead_operator_holds_goes_and_is_named(cluster: Somebodys) -> None:
    before = names(cluster, KINDS)
    bring(cluster)
    cluster.kubectl("apply", "--namespace=demo", "--filename=-", input=json.dumps(BACKEND))
    with pytest.raises(UnfinishedError) as caught:
        cluster.down()
    line = (
        "ipfsbackends in demo: the operator did not let go of kubo within 3 s, and they went without it: "
        "pins on nodes of others stay"
    )
    assert line in caught.value.lines, "on a busy machine other things are late too"
    cluster.patience = SLOW
    cluster.down()
    assert names(cluster, KINDS) == before


def finalizers_remain(cluster: Somebodys, namespace: str) -> bool:
    found = json.loads(cluster.kubectl("get", "namespace", namespace, "--output=json"))
    conditions = {one["type"]: one["status"] for one in found["status"].get("conditions", ())}
    return conditions.get("NamespaceFinalizersRemaining") == "True"


def test_a_namespace_that_is_held_is_named_with_what_holds_it_and_all_else_goes(cluster: Somebodys) -> None:
    before = names(cluster, KINDS)
    bring(cluster)
    cluster.patience = 10  # as long as an empty namespace takes
    cluster.kubectl("apply", "--namespace=demo", "--filename=-", input=json.dumps(HELD))
    # That something is held, a namespace says once it was told to go and its content was looked at.
    cluster.kubectl("delete", "namespace", "demo", "--wait=false")
    wait_until(lambda: finalizers_remain(cluster, "demo"), "word of what holds the namespace")
    with pytest.raises(UnfinishedError) as caught:
        cluster.down()
    (line,) = [line for line in caught.value.lines if line.startswith("the namespace demo: ")]
    assert line.startswith("the namespace demo: not gone within 10 s: ")
    assert "example.com/held in 1 resource instances" in line
    wait_until(lambda: names(cluster, KINDS) - before == {"/demo"}, "the end of all else, which may be late", SLOW)

    assert cluster.is_up()
    cluster.kubectl("patch", "configmap", "held", "--namespace=demo", "--type=merge", '--patch={"metadata":{"finalizers":[]}}')
    cluster.patience = SLOW
    cluster.down()
    assert names(cluster, KINDS) == before


@pytest.mark.parametrize("what", ["kubeconfig", "content", "folder"])
def test_a_kubeconfig_that_is_gone_is_read_again_from_the_context(cluster: Somebodys, what: str) -> None:
    before = names(cluster, KINDS)
    bring(cluster)
    cluster.patience = SLOW
    match what:
        case "kubeconfig":
            cluster.kubeconfig.unlink()
        case "content":
            os.truncate(cluster.kubeconfig, 10)
        case "folder":
            shutil.rmtree(cluster.state)
    if what != "folder":
        cluster.wanted = ""
        with pytest.raises(ExistingError, match="PINION_CONTEXT"):
            cluster.down()
        cluster.wanted = "pinion"
    cluster.down()
    assert names(cluster, KINDS) == before
    assert not cluster.state.exists()


@pytest.mark.parametrize(
    "gone",
    [
        ("delete", "secret", "--all", "--namespace=pinion-system"),  # where Helm keeps what it knows of the release
        ("delete", "namespace", "pinion-system", f"--timeout={SLOW}s"),
        ("delete", "crd", "modeldeployments.pinion.dev", f"--timeout={SLOW}s"),
    ],
    ids=["the record of the release", "its namespace", "a definition"],
)
def test_what_others_have_deleted_already_is_no_error(cluster: Somebodys, gone: tuple[str, ...]) -> None:
    before = names(cluster, KINDS)
    bring(cluster)
    cluster.patience = SLOW
    cluster.kubectl(*gone, timeout=SLOW + 10)
    cluster.down()
    assert names(cluster, KINDS) == before


def test_a_context_that_is_not_there_is_named(cluster: Somebodys) -> None:
    cluster.wanted = "elsewhere"
    with pytest.raises(KubectlError, match="elsewhere"):
        cluster.up()
    assert not cluster.state.exists()


def test_images_need_a_registry_and_nodes_are_out_of_reach(cluster: Somebodys, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    cluster.registry = ""
    with pytest.raises(ExistingError, match="PINION_REGISTRY"):
        cluster.build_image(ImageSpec("operator", tmp_path / "Dockerfile", tmp_path))
    with pytest.raises(ExistingError, match=r"a\.tar"):
        cluster.load(tmp_path / "a.tar")
