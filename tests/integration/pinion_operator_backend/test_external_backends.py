"""Backends that somebody else runs, under the real operator: a Kubo, its gateway, and a volume that pods share."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.behind_urls import behind_urls
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.overheard import overheard, run_line
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane, pytest.mark.kubo]

__all__ = ["told_pods"]

OFTEN = {"intervalSeconds": 5, "failureThreshold": 1}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "models"},
    "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}},
}


class Backends:
    """The IpfsBackends of the test's namespace."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane, self.namespace = control_plane, namespace

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return self.control_plane.kubectl(*arguments, f"--namespace={self.namespace}", **options)

    def apply(self, obj: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", input=json.dumps(obj))

    def make(self, name: str, **spec: Any) -> None:
        body = {"apiVersion": "pinion.dev/v1alpha1", "kind": "IpfsBackend", "metadata": {"name": name}}
        self.apply({**body, "spec": {"healthCheck": OFTEN, **spec}})

    def conditions(self, name: str) -> dict[str, tuple[str, str]]:
        status = json.loads(self.kubectl("get", "ipfsb", name, "--output=json")).get("status", {})
        return {one["type"]: (f"{one['status']}/{one['reason']}", one["message"]) for one in status.get("conditions", ())}

    def wait_for(self, name: str, condition: str, wanted: str) -> str:
        """Wait for `status/reason` and return the message."""
        found = ("", "")

        def matches() -> bool:
            nonlocal found
            found = self.conditions(name).get(condition, ("", ""))
            return found[0] == wanted

        wait_until(matches, f"{name}: {condition} {wanted}", 60)
        return found[1]

    def token(self, value: str, **more: str) -> None:
        data = {"bearer": value, **more}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kubo-token"}, "stringData": data})


@pytest.fixture
def backends(control_plane: ControlPlane, namespace: str, crds: None) -> Backends:
    return Backends(control_plane, namespace)


@pytest.fixture
def start(operators: Operators, backends: Backends) -> Callable[..., OperatorProcess]:
    """Start the operator; a Role of the namespace names the one Secret of others that it may read."""
    backends.kubectl("create", "role", "kubo-token", "--verb=get", "--resource=secrets", "--resource-name=kubo-token")
    account = f"{backends.namespace}:{backends.namespace}-operator"
    backends.kubectl("create", "rolebinding", "kubo-token", "--role=kubo-token", f"--serviceaccount={account}")

    def run(**environment: str) -> OperatorProcess:
        running = operators.start(environment=environment)
        running.wait_leading()
        return running

    return run


def test_a_kubo_of_somebody_else(running_kubo: Any, backends: Backends, start: Callable[..., OperatorProcess]) -> None:
    operator = start()
    external = {
        "apiURL": running_kubo.rpc_url,
        "gatewayURLs": [running_kubo.gateway_url],
        "authSecretRef": {"name": "kubo-token", "key": "bearer"},
    }
    backends.make("theirs", type="Kubo", external=external)
    assert "Secret kubo-token does not exist" in backends.wait_for("theirs", "Ready", "False/Failed")
    hosts = running_kubo.rpc_url.removeprefix("http://")
    backends.token("wrong", hosts=hosts)
    told = backends.wait_for("theirs", "Ready", "False/Unauthorized")
    assert "HTTP 403 (Unauthorized: the token in Secret 'kubo-token' is not accepted)" in told
    backends.token(running_kubo.credentials.operator_token, hosts=hosts)
    backends.wait_for("theirs", "Ready", "True/Healthy")
    backends.wait_for("theirs", "RoundTripHealthy", "True/RoundTripSucceeded")
    assert (
        backends.kubectl("get", "statefulset,service,configmap,networkpolicy", "-l", "pinion.dev/backend", "--output=name")
        == ""
    )
    stray = running_kubo.call("add", running_kubo.credentials.operator_token, files={"file": b"not ours"}).json()["Hash"]
    running_kubo.stop()
    backends.wait_for("theirs", "Reachable", "False/Unreachable")
    running_kubo.start()
    backends.wait_for("theirs", "Ready", "True/Healthy")
    pins = running_kubo.call("pin/ls", running_kubo.credentials.operator_token, params={"arg": stray})
    assert stray in pins.json()["Keys"], "what others pinned there is left"
    written = b"".join(one.body for one in operator.writes()) + operator.log.read_bytes()
    assert running_kubo.credentials.operator_token.encode() not in written


def test_a_token_goes_to_no_host_that_its_secret_does_not_name(
    running_kubo: Any, backends: Backends, start: Callable[..., OperatorProcess]
) -> None:
    """A backend's URL is whoever made it; the Secret may be anybody's of the namespace."""
    start()
    token = running_kubo.credentials.operator_token
    backends.token(token)
    reference = {"authSecretRef": {"name": "kubo-token", "key": "bearer"}}
    with overheard("127.0.0.2", running_kubo.rpc_url) as rpc, overheard("127.0.0.3", running_kubo.gateway_url) as gateway:
        backends.make("theirs", type="Kubo", external={"apiURL": rpc.url, "gatewayURLs": [gateway.url], **reference})
        backends.make("reads", type="TrustlessGateway", external={"gatewayURLs": [gateway.url], **reference})
        said = {name: backends.wait_for(name, "Ready", "Unknown/NotAsked") for name in ("theirs", "reads")}
        for name, host in (("theirs", rpc.host), ("reads", gateway.host)):
            assert f"the token in Secret 'kubo-token' is not sent to {host}: it has no key `hosts`." in said[name]
            assert "what pods say of it counts" in said[name]
            assert set(backends.conditions(name)) <= {"Ready", "Reachable", "RoundTripHealthy"}, "at rest"
        assert rpc.heard == gateway.heard == [], "nothing is asked, with or without the token"

        run_line(backends.control_plane.kubeconfig, said["theirs"])
        backends.wait_for("theirs", "Ready", "True/Healthy")
        assert rpc.tokens == {f"Bearer {token}"}
        message = "its key `hosts` names others"
        wait_until(lambda: message in backends.conditions("reads")["Ready"][1], message, 60)
        assert gateway.heard == []
        run_line(backends.control_plane.kubeconfig, backends.conditions("reads")["Ready"][1])
        backends.wait_for("reads", "Ready", "True/Healthy")
        assert gateway.tokens == {f"Bearer {token}"}

        backends.token(token, hosts="")
        backends.wait_for("theirs", "Ready", "Unknown/NotAsked")


def test_a_trustless_gateway(running_kubo: Any, backends: Backends, start: Callable[..., OperatorProcess]) -> None:
    start()
    nobody = "http://127.0.0.1:9"
    backends.make("reads", type="TrustlessGateway", external={"gatewayURLs": [nobody, running_kubo.gateway_url]})
    backends.wait_for("reads", "Ready", "True/Healthy")
    assert set(backends.conditions("reads")) == {"Ready", "Reachable"}, "no round trip is claimed of what is only read"
    running_kubo.stop()
    backends.wait_for("reads", "Ready", "False/Failed")
    running_kubo.start()
    backends.wait_for("reads", "Ready", "True/Healthy")


ALLOWED, INSIDE = "127.0.0.2", "127.0.0.3"


def test_urls_of_tenants_lead_the_operator_to_allowed_networks_and_no_further(
    running_kubo: Any, backends: Backends, start: Callable[..., OperatorProcess]
) -> None:
    operator = start(PINION_ALLOWED_NETWORKS=f"{ALLOWED}/32")
    with (
        overheard(ALLOWED, running_kubo.rpc_url) as rpc,
        overheard(ALLOWED, running_kubo.gateway_url) as gateway,
        overheard(INSIDE, running_kubo.rpc_url) as inside,
        behind_urls(ALLOWED, INSIDE) as urls,
    ):
        backends.token(running_kubo.credentials.operator_token, hosts=f"{rpc.host} {inside.host}")
        secret = {"authSecretRef": {"name": "kubo-token", "key": "bearer"}}
        gateways = {"gatewayURLs": [gateway.url]}
        backends.make("theirs", type="Kubo", external={"apiURL": rpc.url, **gateways, **secret})
        backends.make("one-of-two", type="TrustlessGateway", external={"gatewayURLs": [inside.url, gateway.url]})
        backends.make("with-a-token", type="Kubo", external={"apiURL": inside.url, **gateways, **secret})
        urls |= {"metadata": "http://169.254.169.254", "six": "http://[::1]:5001", "decimal": "http://2130706435"}
        for name, url in urls.items():
            backends.make(name, type="Kubo", external={"apiURL": url, **gateways})
            backends.make(f"{name}-gateway", type="TrustlessGateway", external={"gatewayURLs": [url]})
        backends.wait_for("theirs", "Ready", "True/Healthy")
        backends.wait_for("one-of-two", "Ready", "True/Healthy")
        said = {backends.wait_for("with-a-token", "Ready", "Unknown/NotAsked").replace(inside.url, "URL")}
        asked = {"refused", "silent", "no-http"}
        for name, url in urls.items():
            wanted = "False/Failed" if name in asked else "Unknown/NotAsked"
            for each in (name, f"{name}-gateway"):
                said.add(backends.wait_for(each, "Ready", wanted).replace(url, "URL"))
        assert len(said) == 1, said
        assert "operator.allowedNetworks" in next(iter(said))
        assert inside.heard == []
    assert "of-the-inside" not in backends.kubectl("get", "ipfsb", "--output=json")
    log = operator.log.read_text()
    for cause in ("Connect call failed", "a loopback address", "a cloud's metadata service"):
        assert cause in log, "whoever runs the operator reads what is behind it"


def test_models_go_on_and_start_with_a_backend_that_may_not_be_asked(
    running_kubo: Any,
    backends: Backends,
    operators: Operators,
    start: Callable[..., OperatorProcess],
    hub: Hub,
    told_pods: ToldPods,
) -> None:
    """The first two as an upgrade finds them that brings the rule; pods say what the test tells them."""
    first = start(PINION_HUB_ENDPOINT=hub.endpoint)
    models = Models(backends.control_plane, backends.namespace)
    repo = f"pinion-tests/unasked-{secrets.token_hex(4)}"
    hub.add_repo(repo, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"weights"})
    external = {"apiURL": running_kubo.rpc_url, "gatewayURLs": [running_kubo.gateway_url]}
    token = {"authSecretRef": {"name": "kubo-token", "key": "bearer"}}
    backends.token(running_kubo.credentials.operator_token, hosts=running_kubo.rpc_url.removeprefix("http://"))
    backends.make("theirs", type="Kubo", external={**external, **token})
    backends.wait_for("theirs", "Ready", "True/Healthy")
    pinned = {"Ready": "True/Serving", "ArtifactPinned": "True/Pinned", "BackendDegraded": "False/PreferredBackendActive"}
    for name, fallback in (("automatic", "Automatic"), ("none", "None")):
        models.apply(name, repo, storage={"fallback": fallback})
        models.wait_for(name, timeout=60, **pinned)
    before = {pod.name for pod in told_pods.seen}

    first.stop()
    second = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_ALLOWED_NETWORKS": ""})
    second.wait_leading()
    assert "operator.allowedNetworks" in backends.wait_for("theirs", "Ready", "Unknown/NotAsked")
    wait_until(lambda: "does not ask it" in models.message("none", "BackendDegraded"), "the pods' words count", 60)
    second.wait_quiet(5.0)
    for name in ("automatic", "none"):
        models.wait_for(name, **pinned)
    assert {pod.name for pod in told_pods.seen} == before, "no pod was replaced"

    models.apply("new", repo, storage={"fallback": "None"})
    models.wait_for("new", timeout=60, **pinned)


def test_a_volume_that_pods_share(backends: Backends, start: Callable[..., OperatorProcess]) -> None:
    start()
    backends.make("shared", type="HuggingFaceCache", cache={"claimName": "models"})
    assert backends.wait_for("shared", "Ready", "False/Failed") == "PersistentVolumeClaim models does not exist"
    backends.apply(CLAIM)
    backends.wait_for("shared", "Ready", "True/Healthy")
    backends.kubectl("delete", "persistentvolumeclaim", "models", "--wait=false")
    assert "PersistentVolumeClaim models" in backends.wait_for("shared", "Ready", "False/Failed")
    backends.kubectl("delete", "ipfsb", "shared", "--timeout=60s")


@pytest.mark.parametrize("name", ["a" * 39 + "1", "a" + "-" * 38 + "1"])
def test_the_longest_names_make_valid_children(backends: Backends, start: Callable[..., OperatorProcess], name: str) -> None:
    operator = start()
    backends.make(name, type="Kubo", managed={"storage": {"size": "1Gi", "storageClassName": "nosuch"}})
    wait_until(lambda: backends.kubectl("get", "pods", "--output=name"), "the StatefulSet's pod", 60)
    message = f"its claim data-{name}-kubo-0 waits for a volume of StorageClass nosuch"
    wait_until(lambda: message in backends.conditions(name)["Ready"][1], message, 60)
    assert not [one for one in operator.writes(decided=True) if one.status >= 400 and one.status != 409]


def test_why_a_volume_does_not_come_is_told_in_the_words_of_kubernetes(
    backends: Backends, operators: Operators, start: Callable[..., OperatorProcess]
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "claims"}}
    backends.apply({**quota, "spec": {"hard": {"persistentvolumeclaims": "0"}}})
    wait_until(lambda: backends.kubectl("get", "quota", "claims", "--output=jsonpath={.status.hard}"), "the quota counts", 60)
    operators.take_right_away("events.k8s.io")
    start()
    backends.make("b", type="Kubo", managed={"storage": {"size": "1Gi", "storageClassName": "nosuch"}})

    def told(*parts: str) -> None:
        found = "; ".join(parts)
        wait_until(lambda: all(part in backends.conditions("b").get("Ready", ("", ""))[1] for part in parts), found, 90)

    told("its claim data-b-kubo-0 is not there")  # all that can be said while events may not be listed
    assert "(" not in backends.conditions("b")["Ready"][1]
    operators.give_rights_back()
    told("its claim data-b-kubo-0 is not there", "FailedCreate: ", "exceeded quota: claims", "; raise the quota")
    backends.kubectl("delete", "quota", "claims")
    missing = 'waits for a volume of StorageClass nosuch (ProvisioningFailed: storageclass.storage.k8s.io "nosuch" not found)'
    told(f"its claim data-b-kubo-0 {missing}")
