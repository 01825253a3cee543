"""What the cluster's surroundings ask of every pod that we make: said once, to the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Platform:
    """What the operator was installed with. Pods of a revision keep what held when it was made; Kubo's follow."""

    image_pull_secrets: tuple[str, ...] = ()  # names; the Secrets are the namespace's own


PLAIN = Platform()  # nothing is asked for


def fit_pod(pod: Mapping[str, Any], platform: Platform) -> dict[str, Any]:
    """Return the pod's spec with what the platform asks for, as far as the pod says nothing itself."""
    fitted = dict(pod)
    if platform.image_pull_secrets and "imagePullSecrets" not in pod:
        fitted["imagePullSecrets"] = name_secrets(platform.image_pull_secrets)
    return fitted


def name_secrets(names: tuple[str, ...]) -> list[dict[str, str]]:
    """Return references to Secrets of the pod's namespace."""
    return [{"name": name} for name in names]
