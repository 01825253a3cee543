"""What the cluster's surroundings ask of every pod that we make: said once, to the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pinion_contract.names import AUTHORITIES_PATH

AUTHORITIES_KEY = PurePosixPath(AUTHORITIES_PATH).name  # of the ConfigMap
AUTHORITIES_FOLDER = str(PurePosixPath(AUTHORITIES_PATH).parent)
AUTHORITIES_VOLUME = "authorities"


@dataclass(frozen=True)
class Platform:
    """What the operator was installed with. Pods of a revision keep what held when it was made; Kubo's follow."""

    image_pull_secrets: tuple[str, ...] = ()  # names; the Secrets are the namespace's own
    env: tuple[Mapping[str, Any], ...] = ()  # entries for every container, proxies among them
    model_env: tuple[Mapping[str, Any], ...] = ()  # for the containers of models alone, where those above do not have them
    authorities: str = ""  # PEM certificates of who is trusted beside the system's own; pods read them again while they run


PLAIN = Platform()  # nothing is asked for


def fit_pod(
    pod: Mapping[str, Any], platform: Platform, *, authorities_map: str, authorities_env: Mapping[str, str]
) -> dict[str, Any]:
    """Return the pod's spec with what the platform asks for, as far as the pod says nothing itself.

    `authorities_map` is the ConfigMap with the certificates, `authorities_env` tells the program of them.
    """
    fitted = dict(pod)
    env, mounts = list(platform.env), list[Mapping[str, Any]]()
    if platform.image_pull_secrets and "imagePullSecrets" not in pod:
        fitted["imagePullSecrets"] = name_secrets(platform.image_pull_secrets)
    if platform.authorities:
        # Optional: what was rendered with it must start also after the operator has been told of none.
        items = [{"key": AUTHORITIES_KEY, "path": AUTHORITIES_KEY}]
        volume = {"name": AUTHORITIES_VOLUME, "configMap": {"name": authorities_map, "items": items, "optional": True}}
        fitted["volumes"] = [*pod["volumes"], volume]
        mounts.append({"name": AUTHORITIES_VOLUME, "mountPath": AUTHORITIES_FOLDER, "readOnly": True})
        env += [{"name": name, "value": value} for name, value in authorities_env.items()]
    if env or mounts:
        for kind in ("initContainers", "containers"):
            if kind in pod:
                fitted[kind] = [_fit_container(container, env, mounts) for container in pod[kind]]
    return fitted


def name_secrets(names: tuple[str, ...]) -> list[dict[str, str]]:
    """Return references to Secrets of the pod's namespace."""
    return [{"name": name} for name in names]


def _fit_container(
    container: Mapping[str, Any], env: list[Mapping[str, Any]], mounts: list[Mapping[str, Any]]
) -> dict[str, Any]:
    own = container.get("env", ())
    named = {entry["name"] for entry in own}
    added = [dict(entry) for entry in env if entry["name"] not in named]
    return {**container, "env": [*own, *added], "volumeMounts": [*container.get("volumeMounts", ()), *mounts]}
