"""A ModelDeployment and an IpfsBackend as somebody writes them, and copies of them that differ in one place."""

import copy
from typing import Any

REPO = "sentence-transformers/all-MiniLM-L6-v2"
MODEL: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm"},
    "spec": {"model": {"source": {"huggingFace": {"repo": REPO}}}},
}
BACKEND: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "kubo"},
    "spec": {"type": "Kubo", "managed": {}},
}


def with_value(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `base` with the value at a dotted path."""
    result = copy.deepcopy(base)
    node = result
    *parents, last = path.split(".")
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    return result
