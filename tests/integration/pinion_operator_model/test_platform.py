"""What the operator was installed with, seen on the pods that a real API server and controller-manager make."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.pki import Authority
from pinion_operator.resources.proxy import DIRECT
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.hub import Hub
from tests.support.journeys import kubo_backend
from tests.support.model_objects import Models
from tests.support.operator_process import Operators
from tests.support.tls_front import tls_front
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

HOST = "hub.private.test"  # a name that the proxy alone knows
TEAM = {"name": "TEAM", "value": "nlp"}


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy() as running:
        yield running


@pytest.fixture
def authority(hub: Hub, proxy: ForwardProxy, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the certificate of who signed for the hub, as a mounted file."""
    with tls_front(tmp_path / "pki", hub.endpoint, HOST) as (address, certificate):
        proxy.names[f"{HOST}:443"] = address
        mounted = tmp_path / "mounted.crt"
        mounted.write_text(certificate.read_text())
        yield mounted


@pytest.fixture
def installed(proxy: ForwardProxy, authority: Path) -> dict[str, str]:
    return {
        "PINION_HUB_ENDPOINT": f"https://{HOST}",
        "PINION_IMAGE_PULL_SECRETS": "registry",
        "PINION_HTTP_PROXY": proxy.url,
        "PINION_HTTPS_PROXY": proxy.url,
        "PINION_NO_PROXY": "corp.example",
        "PINION_CA_FILE": str(authority),
        "PINION_EXTRA_ENV": json.dumps([TEAM]),
        "PINION_RELIST_SECONDS": "5",
    }


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operators: Operators, installed: dict[str, str]) -> Models:
    operators.start(environment=installed).wait_leading()
    return Models(control_plane, namespace)


def pod_of(models: Models, label: str) -> dict[str, Any]:
    """Return the one pod with a label, once it is there."""

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(models.kubectl("get", "pods", "-l", label, "-o", "json"))["items"]
        return items

    (pod,) = wait_until(found, f"a pod with {label}")
    return pod


def kubo(name: str, **managed: Any) -> dict[str, Any]:
    backend = kubo_backend(name)
    return {**backend, "spec": {**backend["spec"], "managed": {**backend["spec"]["managed"], **managed}}}


def test_pods_of_models_and_of_kubo_have_it_and_objects_may_say_otherwise(models: Models, hub: Hub) -> None:
    mine = [{"name": "mine"}]
    models.apply("minilm", hub.minilm)
    models.apply("other", hub.minilm, pod={"imagePullSecrets": mine})
    pods = {name: pod_of(models, f"pinion.dev/deployment={name}") for name in ("minilm", "other")}
    models.apply_object(kubo("ipfs"))
    models.apply_object(kubo("own", imagePullSecrets=mine))
    pods |= {name: pod_of(models, f"pinion.dev/backend={name}") for name in ("ipfs", "own")}
    named = {name: pod["spec"].get("imagePullSecrets") for name, pod in pods.items()}
    registry = [{"name": "registry"}]
    assert named == {"minilm": registry, "other": mine, "ipfs": registry, "own": mine}


def test_the_hub_is_asked_through_the_proxy_and_the_cluster_is_not(
    models: Models, hub: Hub, proxy: ForwardProxy, authority: Path, tmp_path: Path
) -> None:
    models.apply("minilm", hub.minilm)
    models.apply_object(kubo("ipfs"))
    models.wait_for("minilm", SourceResolved="True/Resolved")
    pods = [pod_of(models, f"pinion.dev/{label}") for label in ("deployment=minilm", "backend=ipfs")]
    assert proxy.hosts() == {f"{HOST}:443"}
    for pod in pods:
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            env = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert (env["HTTP_PROXY"], env["HTTPS_PROXY"], env["TEAM"]) == (proxy.url, proxy.url, "nlp")
            assert {*DIRECT, "corp.example"} <= set(env["NO_PROXY"].split(","))

    def authorities() -> dict[str, str]:
        found = {name: models.get("configmap", name)["data"].get("ca.crt", "") for name in ("minilm-authorities", "ipfs-kubo")}
        return {name: text.strip() for name, text in found.items()}

    assert set(authorities().values()) == {authority.read_text().strip()}
    other = Authority(tmp_path / "other")
    other.create()
    authority.write_text(other.crt.read_text())  # as the kubelet replaces a mounted file
    wanted = {other.crt.read_text().strip()}
    wait_until(lambda: set(authorities().values()) == wanted, "the ConfigMaps of both follow")
    now = [pod_of(models, f"pinion.dev/{label}") for label in ("deployment=minilm", "backend=ipfs")]
    assert [pod["metadata"]["uid"] for pod in now] == [pod["metadata"]["uid"] for pod in pods], "nothing is restarted"


def test_why_the_hub_cannot_be_asked_is_told_in_status_and_log(
    control_plane: ControlPlane, namespace: str, operators: Operators, installed: dict[str, str], hub: Hub, proxy: ForwardProxy
) -> None:
    del installed["PINION_CA_FILE"]
    operator = operators.start(environment=installed)
    operator.wait_leading()
    models = Models(control_plane, namespace)
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", SourceResolved="False/OriginUnreachable")
    told = f"the certificate of {HOST} is not trusted: unable to get local issuer certificate"
    assert told in models.message("minilm", "SourceResolved")
    wait_until(lambda: any(told in line.get("detail", "") for line in operator.lines()), "the log tells it too")
    proxy.answers[f"{HOST}:443"] = "407 Proxy Authentication Required"
    models.apply("other", hub.minilm)
    models.wait_for("other", SourceResolved="False/OriginUnreachable")
    assert f"the proxy {proxy.url} answers 407 Proxy Authentication Required" in models.message("other", "SourceResolved")
