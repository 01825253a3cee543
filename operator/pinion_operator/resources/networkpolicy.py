"""Who reaches a deployment's pods: clients for answers, the operator and monitoring for the state, peers for the bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

from pinion_contract.names import CONTENT_PORT, INFERENCE_PORT, MANAGEMENT_PORT

from .kinds import NETWORKPOLICY, Object
from .model_names import selector_labels
from .owner import build_child

NAMESPACE_NAME = "kubernetes.io/metadata.name"  # the label that every namespace has


def build_network_policy(
    owner: Object, allow_from: Sequence[Mapping[str, Any]], management_namespaces: Sequence[str]
) -> dict[str, Any]:
    """Return the NetworkPolicy; `allow_from` are peers in the API's form, none meaning the whole namespace.

    Without `management_namespaces` the management port is open to every pod: nobody knows where the operator runs.
    """
    name = owner["metadata"]["name"]
    labels = dict(selector_labels(name))
    where = {"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": sorted(set(management_namespaces))}]}
    management = [{"namespaceSelector": where if management_namespaces else {}}]
    spec = {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Ingress"],
        "ingress": [
            build_rule(INFERENCE_PORT, list(allow_from) or [{"podSelector": {}}]),
            build_rule(MANAGEMENT_PORT, management),
            build_rule(CONTENT_PORT, [{"podSelector": {"matchLabels": labels}}]),
        ],
    }
    return build_child(owner, NETWORKPOLICY.api_version, NETWORKPOLICY.name, name, {"spec": spec}, labels=labels)


def build_rule(port: int, sources: list[Any]) -> dict[str, Any]:
    """Return what lets these sources in at one port."""
    return {"from": sources, "ports": [{"port": port, "protocol": "TCP"}]}
