"""What of a ModelDeployment makes a revision: the user's wishes that shape the pod, and the bytes they lead to.

Only what differs from the schema's defaults is hashed: a field that a later version adds changes no hash, so it rolls no model.
Replicas, limits and suspend shape no pod. The commit and the CID are facts about a revision: learning them rolls nothing.
"""

import hashlib
import json
from typing import Any

from ..api.modeldeployment import ModelDeploymentSpec

SHAPING = {"model", "storage", "runtime", "warmup", "termination_grace_period_seconds"}
NAME_DIGITS = 10


def inputs_hash(spec: ModelDeploymentSpec, *, namespace_backends: bool) -> str:
    """Return the hash of the user's inputs; equal inputs need no second question to the hub.

    `namespace_backends`: no backend is named, and the namespace's are used.
    """
    return _hash({"spec": _shaping(spec), "namespaceBackends": namespace_backends})


def source_hash(spec: ModelDeploymentSpec) -> str:
    """Return the hash of what the user says about the source: it leads to one commit, for as long as it stays."""
    return _hash(spec.model.source.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def revision_name(spec: ModelDeploymentSpec, source_digest: str, *, namespace_backends: bool) -> str:
    """Return the name of the revision: the same bytes under another branch or commit are the same revision."""
    inputs = _shaping(spec)
    source = inputs["model"]["source"]["huggingFace"]
    for name in ("revision", "allowPatterns", "ignorePatterns"):  # they act through the source digest alone
        source.pop(name, None)
    return _hash({"spec": inputs, "namespaceBackends": namespace_backends, "sourceDigest": source_digest})[:NAME_DIGITS]


def _shaping(spec: ModelDeploymentSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, include=SHAPING, exclude_defaults=True)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
