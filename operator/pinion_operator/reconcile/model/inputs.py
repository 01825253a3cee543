"""What of a ModelDeployment makes a revision: the user's wishes that shape the pod, and the bytes they lead to.

Only what differs from the schema's defaults is hashed: a field that a later version adds changes no hash, so it rolls no model.
Replicas, limits, rollout and suspend shape no pod, nor do the served name and the expected CID. The commit and the CID are
facts about a revision: learning them rolls nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...api.modeldeployment import BackendRef, ModelDeploymentSpec

SHAPING = {"model", "storage", "runtime", "warmup", "auth", "probes", "pod", "termination_grace_period_seconds"}
LIVE_OF_MODEL = ("name", "expected")  # of spec.model: pods read them in live.json
_OF_THE_CLAIM = ("size", "reclaimPolicy")  # of spec.storage.cache.pvc: they shape no pod
NAME_DIGITS = 10
# Of each kind of source what acts through the source digest alone.
_ACT_THROUGH_DIGEST = {"huggingFace": ("revision", "allowPatterns", "ignorePatterns"), "ipfs": ("cid", "path")}
_FOLLOWING = ("revisionPolicy", "trackIntervalSeconds")  # of the source: what becomes of a branch that moves


@dataclass(frozen=True)
class Hashes:
    """One way to hash what shapes the pod."""

    own: str  # over the backends that are named, or over none
    namespace: str  # over those of the namespace, because none is named

    def over(self, *, namespace_backends: bool) -> str:
        """Return the hash of all inputs; `namespace_backends`: no backend is named, and the namespace's are used."""
        return self.namespace if namespace_backends else self.own


@dataclass(frozen=True)
class InputHashes(Hashes):
    """The user's inputs, hashed: equal inputs need no second question to the hub."""

    source: str  # what is said about the source: it leads to one commit, for as long as it stays
    # As it was while the served name and the expected CID stood in the pod's configuration. A CID that such a revision's pods
    # do not expect by themselves is compared by the operator, so the second is without it.
    first_forms: tuple[Hashes, ...]


def hash_inputs(spec: ModelDeploymentSpec) -> InputHashes:
    """Return the hashes of the user's inputs."""
    hashes, first = _hashes(_shaping(spec)), _shaping(spec, first_form=True)
    source = _without_following(spec.model.source.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    without = {**first, "model": {name: value for name, value in first["model"].items() if name != "expected"}}
    return InputHashes(hashes.own, hashes.namespace, _hash(source), (_hashes(first), _hashes(without)))


def naming(spec: ModelDeploymentSpec, backends: Sequence[str]) -> ModelDeploymentSpec:
    """Return the spec as it would be if it named just these backends."""
    refs = tuple(BackendRef(name=name) for name in backends)
    return spec.model_copy(update={"storage": spec.storage.model_copy(update={"backend_refs": refs})})


def revision_name(spec: ModelDeploymentSpec, source_digest: str, *, namespace_backends: bool, restart: str = "") -> str:
    """Return the name of the revision: the same bytes under another branch or commit are the same revision.

    `restart`: what asks for another revision though nothing else differs.
    """
    inputs = _shaping(spec)
    for kind, source in inputs["model"]["source"].items():
        for name in _ACT_THROUGH_DIGEST[kind]:
            source.pop(name, None)
    what = {"spec": inputs, "namespaceBackends": namespace_backends, "sourceDigest": source_digest}
    return _hash(what | ({"restart": restart} if restart else {}))[:NAME_DIGITS]


def _hashes(shaping: dict[str, Any]) -> Hashes:
    own, namespace = (_hash({"spec": shaping, "namespaceBackends": namespace}) for namespace in (False, True))
    return Hashes(own, namespace)


def _shaping(spec: ModelDeploymentSpec, *, first_form: bool = False) -> dict[str, Any]:
    shaping = spec.model_dump(mode="json", by_alias=True, include=SHAPING, exclude_defaults=True)
    _without_following(shaping["model"]["source"])
    if claim := shaping.get("storage", {}).get("cache", {}).get("pvc"):
        for name in _OF_THE_CLAIM:
            claim.pop(name, None)
    # IfNotPresent was the schema's default for a time, so API servers have written it into objects whose users said nothing.
    if shaping.get("runtime", {}).get("imagePullPolicy") == "IfNotPresent":
        del shaping["runtime"]["imagePullPolicy"]
        shaping = {name: value for name, value in shaping.items() if name != "runtime" or value}
    for name in () if first_form else LIVE_OF_MODEL:
        shaping["model"].pop(name, None)
    return shaping


def _without_following(source: dict[str, Any]) -> dict[str, Any]:
    for name in _FOLLOWING:
        source.get("huggingFace", {}).pop(name, None)
    return source


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
