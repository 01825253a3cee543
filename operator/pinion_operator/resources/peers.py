"""How the pods of one deployment find each other's content port, and the token that they share."""

import base64
from typing import Any

from pinion_contract.names import CONTENT_PORT

from .kinds import SECRET, SERVICE, Object
from .model_names import peers_name, selector_labels
from .owner import build_child
from .pod_settings import TOKEN_KEY


def build_peers_service(owner: Object) -> dict[str, Any]:
    """Return the headless Service; a pod that still fetches is listed too, for it can tell that it does."""
    name = owner["metadata"]["name"]
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": dict(selector_labels(name)),
        "ports": [{"name": "content", "port": CONTENT_PORT, "protocol": "TCP", "targetPort": CONTENT_PORT}],
    }
    return build_child(owner, SERVICE.api_version, SERVICE.name, peers_name(name), {"spec": spec}, labels=selector_labels(name))


def build_peers_secret(owner: Object, secret: str, token: str) -> dict[str, Any]:
    """Return the Secret with the bearer token; made once, and never read by the operator."""
    name = owner["metadata"]["name"]
    content = {"type": "Opaque", "data": {TOKEN_KEY: base64.b64encode(token.encode()).decode()}}
    child = build_child(owner, SECRET.api_version, SECRET.name, secret, content, labels=selector_labels(name))
    del child["metadata"]["annotations"]  # the digest would speak of the content
    return child
