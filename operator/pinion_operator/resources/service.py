"""Where requests go: one Service over the ready pods of all revisions."""

from typing import Any

from pinion_contract.names import INFERENCE_PORT

from .kinds import SERVICE, Object
from .model_names import selector_labels
from .owner import build_child

PORT = 80


def build_service(owner: Object) -> dict[str, Any]:
    """Return the Service."""
    name = owner["metadata"]["name"]
    ports = [{"name": "http", "port": PORT, "protocol": "TCP", "targetPort": INFERENCE_PORT}]
    content = {"spec": {"type": "ClusterIP", "selector": dict(selector_labels(name)), "ports": ports}}
    return build_child(owner, SERVICE.api_version, SERVICE.name, name, content, labels=selector_labels(name))


def service_url(owner: Object) -> str:
    """Return the in-cluster URL of the Service."""
    return f"http://{owner['metadata']['name']}.{owner['metadata']['namespace']}.svc"
