"""The Service of a managed Kubo: RPC and gateway inside the cluster."""

from typing import Any

from .kinds import Object
from .names import APP_NAME, BACKEND_LABEL, kubo_name
from .owner import build_child

RPC_PORT, GATEWAY_PORT = 5001, 8080


def build_kubo_service(owner: Object) -> dict[str, Any]:
    """Return the Service of an IpfsBackend's Kubo."""
    name = owner["metadata"]["name"]
    labels = {APP_NAME: "kubo", BACKEND_LABEL: name}
    ports = [
        {"name": "rpc", "port": RPC_PORT, "targetPort": "rpc", "protocol": "TCP"},
        {"name": "gateway", "port": GATEWAY_PORT, "targetPort": "gateway", "protocol": "TCP"},
    ]
    spec = {"type": "ClusterIP", "selector": labels, "ports": ports}
    return build_child(owner, "v1", "Service", kubo_name(name), {"spec": spec}, labels=labels)
