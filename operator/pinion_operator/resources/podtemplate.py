"""The pod of one revision: what the `restricted` Pod Security Standard asks for, and the few paths that may be written."""

from dataclasses import replace
from typing import Any

from pinion_contract.names import (
    AUTHORITIES_PATH,
    CONFIG_PATH,
    CONTENT_PORT,
    INFERENCE_PORT,
    LIVE_PATH,
    MANAGEMENT_PORT,
    STATE_PATH,
)

from .model_names import CONTAINER, authorities_name, revision_labels, service_account_name
from .names import MANAGED_BY, MANAGER, PART_OF
from .platform import fit_pod, name_secrets
from .pod_overrides import override_pod
from .pod_settings import PodSettings
from .pod_volumes import HF_HOME, build_mounts, build_volumes

USER = 65532  # of both images
INIT = "dumb-init"  # process 1: the kernel keeps from process 1 each signal that it does not handle yet
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def build_pod_template(settings: PodSettings) -> dict[str, Any]:
    """Return the pod template; it is kept in the ControllerRevision and applied from there."""
    labels = {MANAGED_BY: MANAGER, PART_OF: "pinion", **revision_labels(settings.deployment, settings.revision)}
    spec = {
        "serviceAccountName": service_account_name(settings.deployment),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a Service named `pinion` would otherwise set PINION_* in the pod
        "terminationGracePeriodSeconds": settings.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,  # lets this user read the tokens and write the emptyDirs
            # A volume that is right already is not walked file by file at each start.
            **({"fsGroupChangePolicy": "OnRootMismatch"} if settings.cache_claim else {}),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings)],
        "volumes": build_volumes(settings),
    }
    if settings.resource_claims:
        spec["resourceClaims"] = [dict(claim) for claim in settings.resource_claims]
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = name_secrets(settings.image_pull_secrets)
    # Whatever else a policy puts into the pod: `kubectl logs` and `exec` mean this one.
    metadata = {"labels": labels, "annotations": {DEFAULT_CONTAINER: CONTAINER}}
    template = override_pod({"metadata": metadata, "spec": spec}, settings.overrides, settings.deployment)
    platform = settings.platform
    named = {entry["name"] for entry in platform.env}
    added = tuple(entry for entry in platform.model_env if entry["name"] not in named)
    fitted = fit_pod(
        template["spec"],
        replace(platform, env=(*platform.env, *added)),
        authorities_map=authorities_name(settings.deployment),
        authorities_env={"PINION_CA_FILE": AUTHORITIES_PATH},
    )
    return {**template, "spec": fitted}


def _container(settings: PodSettings) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [INIT, "--", "python", "-m", "pinion_runtime", "--config", CONFIG_PATH, "--live", LIVE_PATH],
        "env": [
            {"name": "HOME", "value": STATE_PATH},  # the root is read-only
            {"name": "HF_HOME", "value": HF_HOME},
            {"name": "TORCHINDUCTOR_CACHE_DIR", "value": "/tmp/torchinductor"},
        ],
        "ports": [
            {"name": "http", "containerPort": INFERENCE_PORT, "protocol": "TCP"},
            {"name": "management", "containerPort": MANAGEMENT_PORT, "protocol": "TCP"},
            {"name": "content", "containerPort": CONTENT_PORT, "protocol": "TCP"},
        ],
        "resources": settings.resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # HTTP is up from the first second; how long the model takes is told by readiness and /status, never by a kill.
        "startupProbe": settings.probes.startup.of("/livez", MANAGEMENT_PORT),
        "readinessProbe": settings.probes.readiness.of("/readyz", MANAGEMENT_PORT),
        "livenessProbe": settings.probes.liveness.of("/livez", MANAGEMENT_PORT),
        "volumeMounts": build_mounts(settings),
    }
