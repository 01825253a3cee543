"""The children around a deployment's network: the peers' Service and Secret, and who reaches which port."""

import base64
from typing import Any

import pytest

from pinion_operator.reconcile.model.observed import Pod
from pinion_operator.reconcile.model.pods import waits_for_volumes
from pinion_operator.resources.kinds import NETWORKPOLICY, SECRET, SERVICE, Ref
from pinion_operator.resources.model_names import peers_secret_name
from pinion_operator.resources.networkpolicy import build_network_policy
from pinion_operator.resources.peers import build_peers_secret, build_peers_service
from tests.support.model_world import NAME, NAMESPACE, UID, World

OWNER: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "m", "namespace": "ns", "uid": "u"},
}
SECRET_OF_PEERS = Ref(SECRET, NAMESPACE, peers_secret_name(NAME, UID))
LABELS = {"app.kubernetes.io/name": "pinion-runtime", "pinion.dev/deployment": "m"}


def sources(policy: dict[str, Any], port: int) -> Any:
    return next(rule["from"] for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == port)


def test_the_headless_service_lists_pods_that_are_not_ready_too() -> None:
    spec = build_peers_service(OWNER)["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"], spec["selector"]) == ("None", True, LABELS)
    assert [(port["name"], port["port"]) for port in spec["ports"]] == [("content", 8082)]


def test_the_secret_holds_the_token_and_nothing_speaks_of_it() -> None:
    secret = build_peers_secret(OWNER, "m-peers-1", "s3cret")
    assert base64.b64decode(secret["data"]["token"]) == b"s3cret"
    assert "annotations" not in secret["metadata"]


def test_each_port_has_its_own_sources() -> None:
    policy = build_network_policy(OWNER, (), ("pinion-system", "monitoring"))
    assert policy["spec"]["podSelector"] == {"matchLabels": LABELS}
    assert sources(policy, 8080) == [{"podSelector": {}}], "the namespace"
    where = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["monitoring", "pinion-system"]}
    assert sources(policy, 8081) == [{"namespaceSelector": {"matchExpressions": [where]}}]
    assert sources(policy, 8082) == [{"podSelector": {"matchLabels": LABELS}}]


def test_whoever_is_allowed_is_allowed_answers_only() -> None:
    allowed = [{"namespaceSelector": {"matchLabels": {"team": "search"}}}]
    policy = build_network_policy(OWNER, allowed, ("pinion-system",))
    assert sources(policy, 8080) == allowed
    assert sources(policy, 8082) == [{"podSelector": {"matchLabels": LABELS}}]


def test_a_deployment_has_them_all_and_the_policy_can_be_switched_off() -> None:
    world = World().backend("ipfs").serve()
    policy = Ref(NETWORKPOLICY, NAMESPACE, NAME)
    assert {Ref(SERVICE, NAMESPACE, f"{NAME}-peers"), SECRET_OF_PEERS, policy} <= world.children.keys()
    world.change(networkPolicy={"enabled": False}).settle()
    assert policy not in world.children
    assert world.condition("Ready") == "True/Serving"


def test_a_token_that_somebody_took_away_is_made_again() -> None:
    world, secret = World().backend("ipfs").serve(), SECRET_OF_PEERS
    del world.children[secret]
    world.settle()
    assert world.children[secret]["metadata"]["ownerReferences"]
    assert world.condition("Ready") == "True/Serving"


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ({"waiting": {"reason": "ContainerCreating"}}, True),
        ({"waiting": {"reason": "ImagePullBackOff"}}, False),
        ({"running": {}}, False),
    ],
)
def test_a_kubelet_that_waits_for_a_volume_tells_no_more_than_this(state: dict[str, Any], waits: bool) -> None:
    status = {"containerStatuses": [{"name": "runtime", "state": state}]}
    assert waits_for_volumes(Pod({"metadata": {"name": "p"}, "status": status})) is waits
    assert not waits_for_volumes(Pod({"metadata": {"name": "p"}, "status": {**status, "phase": "Failed"}}))
