"""What a user says about pods, put on top of what Pinion says: added to it, and nowhere in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .model_names import selector_labels

SHM_VOLUME, SHM_PATH = "shm", "/dev/shm"
_IDS = ("runAsUser", "runAsGroup", "fsGroup")

Fields = Mapping[str, Any]  # as Kubernetes names them


@dataclass(frozen=True)
class Overrides:
    """The user's wishes; what is empty changes nothing."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod: Fields = field(default_factory=dict)  # nodeSelector and the like
    pod_security: Fields = field(default_factory=dict)
    container_security: Fields = field(default_factory=dict)
    volumes: tuple[Fields, ...] = ()
    volume_mounts: tuple[Fields, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[Fields, ...] = ()
    env_from: tuple[Fields, ...] = ()
    shm_size: str = ""  # a quantity; "" = what the node gives
    ids_from_cluster: bool = False  # whether the pod asks for no user and group of its own


def override_pod(template: Mapping[str, Any], wanted: Overrides, deployment: str) -> dict[str, Any]:
    """Return a pod template of ours with the overrides."""
    (container,) = template["spec"]["containers"]
    shm = [{"name": SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": wanted.shm_size}}] if wanted.shm_size else []
    spec = {
        **template["spec"],
        **{name: value for name, value in wanted.pod.items() if name != "topologySpreadConstraints"},
        **_spread(wanted.pod.get("topologySpreadConstraints", ()), deployment),
        "securityContext": _security(template["spec"]["securityContext"], wanted),
        "containers": [_container(container, wanted)],
        "volumes": [*template["spec"]["volumes"], *shm, *map(dict, wanted.volumes)],
    }
    metadata = {**template["metadata"], "labels": {**wanted.labels, **template["metadata"]["labels"]}}
    if wanted.annotations:
        metadata["annotations"] = {**wanted.annotations, **template["metadata"].get("annotations", {})}
    return {**template, "metadata": metadata, "spec": spec}


def _container(ours: Mapping[str, Any], wanted: Overrides) -> dict[str, Any]:
    shm = [{"name": SHM_VOLUME, "mountPath": SHM_PATH}] if wanted.shm_size else []
    return {
        **ours,
        **({"args": list(wanted.args)} if wanted.args else {}),
        **({"envFrom": [dict(one) for one in wanted.env_from]} if wanted.env_from else {}),
        "env": [*ours["env"], *map(dict, wanted.env)],
        "securityContext": {**ours["securityContext"], **wanted.container_security},
        "volumeMounts": [*ours["volumeMounts"], *shm, *map(dict, wanted.volume_mounts)],
    }


def _security(ours: Mapping[str, Any], wanted: Overrides) -> dict[str, Any]:
    kept = {name: value for name, value in ours.items() if not (wanted.ids_from_cluster and name in _IDS)}
    return {**kept, **wanted.pod_security}


def _spread(constraints: tuple[Fields, ...], deployment: str) -> dict[str, Any]:
    """Return the constraints, each over the deployment's own pods unless it names others."""
    if not constraints:
        return {}
    own = {"labelSelector": {"matchLabels": dict(selector_labels(deployment))}}
    return {"topologySpreadConstraints": [{**own, **one} for one in constraints]}
