"""The pod of one revision: what the `restricted` Pod Security Standard asks for, and the few paths that may be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pinion_contract.names import (
    API_KEYS_PATH,
    AUTHORITIES_PATH,
    BACKENDS_PATH,
    CONFIG_PATH,
    CONTENT_PORT,
    HUB_TOKEN_PATH,
    INFERENCE_PORT,
    LIVE_PATH,
    MANAGEMENT_PORT,
    PEERS_PATH,
    SHARED_PATH,
    STATE_PATH,
)

from .kinds import Object
from .model_names import CONTAINER, authorities_name, live_name, revision_labels, service_account_name
from .names import MANAGED_BY, MANAGER, PART_OF
from .platform import PLAIN, Platform, fit_pod, name_secrets
from .pod_overrides import Overrides, override_pod
from .probe import ProbesTimes, ProbeTimes

USER = 65532  # of both images
PROBES = ProbesTimes(ProbeTimes(1, 2, 120), ProbeTimes(1, 2, 2), ProbeTimes(10, 5, 6))
INIT = "dumb-init"  # process 1: the kernel keeps from process 1 each signal that it does not handle yet
READABLE = 0o440  # mode of Secrets: for this user's group
TOKEN_KEY = "token"
HOSTS_KEY = "hosts"  # beside a token in its Secret: to whom it may be sent
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
CONFIG_VOLUME, PEERS_VOLUME, CACHE_VOLUME = "config", "peers", "cache"
HF_HOME = f"{STATE_PATH}/hf"  # the store


class TokenSecret(NamedTuple):
    """The Secret with the bearer token of a backend."""

    name: str
    key: str
    hosts: bool  # somebody else's backend: the Secret says to whom the token may be sent


@dataclass(frozen=True)
class PodSettings:
    """What of the user's wishes and the operator's defaults shapes the pod."""

    deployment: str
    revision: str
    config_map: str  # of the revision
    peers_secret: str
    image: str
    image_pull_policy: str
    resources: Mapping[str, Any] = field(default_factory=dict)
    cache_limit: str = ""  # a quantity; "" = what the node has
    backend_secrets: Mapping[str, TokenSecret] = field(default_factory=dict)  # by backend
    shared_claims: Mapping[str, str] = field(default_factory=dict)  # backend -> the claim of its volume
    cache_claim: str = ""  # of the volume that holds the store; "" = an emptyDir
    api_keys_secret: str = ""  # "" = no keys are asked for
    hub_token_secret: str = ""  # "" = the repository is public
    hub_token_key: str = TOKEN_KEY
    termination_grace_period_seconds: int = 320
    resource_claims: tuple[Mapping[str, str], ...] = ()  # as pods have them
    probes: ProbesTimes = PROBES
    image_pull_secrets: tuple[str, ...] = ()  # () = the platform's
    platform: Platform = PLAIN
    overrides: Overrides = field(default_factory=Overrides)  # the user's wishes about pods


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
        "volumes": _volumes(settings),
    }
    if settings.resource_claims:
        spec["resourceClaims"] = [dict(claim) for claim in settings.resource_claims]
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = name_secrets(settings.image_pull_secrets)
    # Whatever else a policy puts into the pod: `kubectl logs` and `exec` mean this one.
    metadata = {"labels": labels, "annotations": {DEFAULT_CONTAINER: CONTAINER}}
    template = override_pod({"metadata": metadata, "spec": spec}, settings.overrides, settings.deployment)
    fitted = fit_pod(
        template["spec"],
        settings.platform,
        authorities_map=authorities_name(settings.deployment),
        authorities_env={"PINION_CA_FILE": AUTHORITIES_PATH},
    )
    return {**template, "spec": fitted}


def mounted_peers_secret(template: Object) -> str:
    """Return the Secret with the peers' token that a pod template of ours mounts."""
    volumes = template["spec"]["volumes"]
    return next(str(volume["secret"]["secretName"]) for volume in volumes if volume["name"] == PEERS_VOLUME)


def token_path(backend: str) -> str:
    """Return where a pod reads the bearer token of a backend's RPC API."""
    return f"{BACKENDS_PATH}/{backend}/{TOKEN_KEY}"


def hosts_path(backend: str) -> str:
    """Return where a pod reads to whom the bearer token of somebody else's backend may be sent."""
    return f"{BACKENDS_PATH}/{backend}/{HOSTS_KEY}"


def shared_path(backend: str) -> str:
    """Return where a pod finds the volume of a backend that is a shared cache."""
    return f"{SHARED_PATH}/{backend}"


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
        "volumeMounts": [
            {"name": CONFIG_VOLUME, "mountPath": str(PurePosixPath(CONFIG_PATH).parent), "readOnly": True},
            {"name": "live", "mountPath": str(PurePosixPath(LIVE_PATH).parent), "readOnly": True},
            {"name": "state", "mountPath": STATE_PATH},
            {"name": "tmp", "mountPath": "/tmp"},
            *([{"name": CACHE_VOLUME, "mountPath": HF_HOME}] if settings.cache_claim else []),
            *({"name": name, "mountPath": path, "readOnly": True} for name, path in _secret_mounts(settings)),
            *({"name": f"shared-{i}", "mountPath": shared_path(name)} for i, name in enumerate(settings.shared_claims)),
        ],
    }


def _volumes(settings: PodSettings) -> list[dict[str, Any]]:
    state = {"sizeLimit": settings.cache_limit} if settings.cache_limit else {}
    secrets: list[dict[str, Any]] = [{"name": PEERS_VOLUME, "secret": _secret(settings.peers_secret)}]
    if settings.api_keys_secret:
        secrets.append({"name": "api-keys", "secret": _secret(settings.api_keys_secret)})
    if settings.hub_token_secret:
        name = {"name": settings.hub_token_secret}
        token = {**name, **_items((settings.hub_token_key, TOKEN_KEY))}
        hosts = {**name, **_items((HOSTS_KEY, HOSTS_KEY)), "optional": True}
        sources = [{"secret": token}, {"secret": hosts}]  # of one volume: both change in the same moment
        secrets.append({"name": "hub-token", "projected": {"defaultMode": READABLE, "sources": sources}})
    for index, (secret, key, has_hosts) in enumerate(settings.backend_secrets.values()):
        items = [(key, TOKEN_KEY), *([(HOSTS_KEY, HOSTS_KEY)] if has_hosts else ())]
        # Optional: a backend that is not up yet must not keep the pod from starting with another one.
        secrets.append({"name": f"backend-{index}", "secret": {**_secret(secret), **_items(*items), "optional": True}})
    claims = enumerate(settings.shared_claims.values())
    cache = {"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": settings.cache_claim}}
    return [
        {"name": CONFIG_VOLUME, "configMap": {"name": settings.config_map}},
        {"name": "live", "configMap": {"name": live_name(settings.deployment, settings.revision)}},
        {"name": "state", "emptyDir": state},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        *([cache] if settings.cache_claim else []),
        *secrets,
        *({"name": f"shared-{index}", "persistentVolumeClaim": {"claimName": claim}} for index, claim in claims),
    ]


def _secret_mounts(settings: PodSettings) -> list[tuple[str, str]]:
    """Return each mounted Secret's volume with its path; those of backends are named by place: their names may be longer."""
    mounts = [(PEERS_VOLUME, PEERS_PATH)]
    if settings.api_keys_secret:
        mounts.append(("api-keys", API_KEYS_PATH))
    if settings.hub_token_secret:
        mounts.append(("hub-token", HUB_TOKEN_PATH))
    return [*mounts, *((f"backend-{i}", f"{BACKENDS_PATH}/{name}") for i, name in enumerate(settings.backend_secrets))]


def _items(*items: tuple[str, str]) -> dict[str, Any]:
    return {"items": [{"key": key, "path": path} for key, path in items]}


def _secret(name: str) -> dict[str, Any]:
    return {"secretName": name, "defaultMode": READABLE}
