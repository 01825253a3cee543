"""Who reaches a managed Kubo: the runtime pods of its namespace, and the operator; the tokens come on top."""

from typing import Any

from .kinds import NETWORKPOLICY, Object
from .kubo_service import GATEWAY_PORT, RPC_PORT
from .model_names import RUNTIME
from .names import APP_NAME, BACKEND_LABEL, kubo_name
from .networkpolicy import NAMESPACE_NAME, build_rule
from .owner import build_child


def build_kubo_network_policy(owner: Object, operator_namespace: str) -> dict[str, Any]:
    """Return the NetworkPolicy; without `operator_namespace` the RPC port is open to every namespace, behind its tokens."""
    name = owner["metadata"]["name"]
    labels = {APP_NAME: "kubo", BACKEND_LABEL: name}
    pods = {"podSelector": {"matchLabels": {APP_NAME: RUNTIME}}}
    where = {"matchLabels": {NAMESPACE_NAME: operator_namespace}} if operator_namespace else {}
    spec = {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Ingress"],
        "ingress": [build_rule(RPC_PORT, [pods, {"namespaceSelector": where}]), build_rule(GATEWAY_PORT, [pods])],
    }
    return build_child(owner, NETWORKPOLICY.api_version, NETWORKPOLICY.name, kubo_name(name), {"spec": spec}, labels=labels)
