"""The StatefulSet of a managed Kubo: what the `restricted` Pod Security Standard asks for, a read-only root, one volume."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .kinds import Object
from .kubo_configmap import SCRIPT_NAME
from .kubo_service import GATEWAY_PORT, RPC_PORT
from .names import APP_NAME, BACKEND_LABEL, DIGEST_ANNOTATION, GROUP, MANAGED_BY, MANAGER, PART_OF, kubo_name
from .owner import build_child, digest
from .platform import AUTHORITIES_FOLDER, PLAIN, Platform, fit_pod, name_secrets
from .probe import ProbesTimes

USER = 65532  # of the image
SECRETS = "secrets"  # the volume
DATA_PATH, SECRETS_PATH, SETUP_PATH = "/data", "/secrets", "/setup"
REPO_PATH = f"{DATA_PATH}/ipfs"
CONFIG_ANNOTATION = f"{GROUP}/config"  # on the pod: digest of script and Secret, so that a change of them restarts it
_AUTHORITIES = {"SSL_CERT_DIR": f"/etc/ssl/certs:{AUTHORITIES_FOLDER}"}  # Go reads these beside the system's own file
# A CID that holds its (empty) content itself: what Kubo's own images ask the gateway to see that the daemon works.
_HEALTH_PATH = "/ipfs/bafkqaaa"


@dataclass(frozen=True)
class KuboSettings:
    """What of the spec and the operator's defaults shapes the pod."""

    image: str
    image_pull_policy: str
    resources: Mapping[str, Mapping[str, int | str]]  # requests and limits
    memory_target_bytes: int  # where Go's garbage collector starts to work harder; 0 = nowhere
    storage_type: Literal["PVC", "EmptyDir"]
    storage_size: str  # a quantity
    storage_class_name: str  # "" = the cluster's default
    storage_max_bytes: int  # of the volume, for blocks
    reclaim_policy: Literal["Retain", "Delete"]
    secret_name: str  # with swarm key and tokens
    config_digest: str
    probes: ProbesTimes
    image_pull_secrets: tuple[str, ...] = ()  # () = the platform's
    platform: Platform = PLAIN
    placement: Mapping[str, Any] = field(default_factory=dict)  # fields of the pod, as Kubernetes names them
    ids_from_cluster: bool = False  # whether the pod asks for no user and group of its own


def build_kubo_statefulset(owner: Object, settings: KuboSettings) -> dict[str, Any]:
    """Return the StatefulSet of an IpfsBackend's Kubo."""
    name = owner["metadata"]["name"]
    labels = {APP_NAME: "kubo", BACKEND_LABEL: name}
    spec: dict[str, Any] = {
        "replicas": 1,
        "serviceName": kubo_name(name),
        "selector": {"matchLabels": labels},
        # OrderedReady would keep a pod that cannot start (a wrong image, for one) even after the template is repaired.
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "template": _template(labels, name, settings),
    }
    if settings.storage_type == "PVC":
        spec["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": settings.reclaim_policy, "whenScaled": "Retain"}
        spec["volumeClaimTemplates"] = [_claim(labels, settings)]
    built = build_child(owner, "apps/v1", "StatefulSet", kubo_name(name), {"spec": spec}, labels=labels)
    # Without what is derived from the owner's uid: that of an orphan whose owner was made anew is then the same.
    secretless = replace(settings, secret_name="", config_digest="")
    built["metadata"]["annotations"][DIGEST_ANNOTATION] = digest({**spec, "template": _template(labels, name, secretless)})
    return built


def mounted_secret(statefulset: Object) -> str:
    """Return the Secret that a StatefulSet of ours mounts; "" when it mounts none."""
    volumes = statefulset["spec"]["template"]["spec"].get("volumes") or ()
    return next((str(one["secret"]["secretName"]) for one in volumes if one["name"] == SECRETS), "")


def _template(labels: Mapping[str, str], name: str, settings: KuboSettings) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {MANAGED_BY: MANAGER, PART_OF: "pinion", **labels},
            "annotations": {CONFIG_ANNOTATION: settings.config_digest},
        },
        "spec": _pod(name, settings),
    }


def _claim(labels: Mapping[str, str], settings: KuboSettings) -> dict[str, Any]:
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": settings.storage_size}},
    }
    if settings.storage_class_name:
        claim["storageClassName"] = settings.storage_class_name
    return {"metadata": {"name": "data", "labels": dict(labels)}, "spec": claim}


def _pod(backend: str, settings: KuboSettings) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [
        {"name": "setup", "configMap": {"name": kubo_name(backend)}},
        {"name": SECRETS, "secret": {"secretName": settings.secret_name, "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]
    if settings.storage_type == "EmptyDir":
        volumes.append({"name": "data", "emptyDir": {"sizeLimit": settings.storage_size}})
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        **settings.placement,
        "securityContext": {
            "runAsNonRoot": True,
            **({} if settings.ids_from_cluster else {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}),
            "fsGroupChangePolicy": "OnRootMismatch",  # a big repository would be walked at each start
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_configure(settings)],
        "containers": [_daemon(settings)],
        "volumes": volumes,
    }
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = name_secrets(settings.image_pull_secrets)
    return fit_pod(pod, settings.platform, authorities_map=kubo_name(backend), authorities_env=_AUTHORITIES)


def _configure(settings: KuboSettings) -> dict[str, Any]:
    environment = {
        "SECRETS": SECRETS_PATH,
        "RPC_ADDRESS": f"/ip4/0.0.0.0/tcp/{RPC_PORT} /ip6/::/tcp/{RPC_PORT}",
        "GATEWAY_ADDRESS": f"/ip4/0.0.0.0/tcp/{GATEWAY_PORT} /ip6/::/tcp/{GATEWAY_PORT}",
        "STORAGE_MAX": str(settings.storage_max_bytes),
    }
    return {
        **_container("configure", settings, ["/bin/sh", f"{SETUP_PATH}/{SCRIPT_NAME}"], environment),
        "volumeMounts": [
            *_MOUNTS,
            {"name": "setup", "mountPath": SETUP_PATH, "readOnly": True},
            {"name": SECRETS, "mountPath": SECRETS_PATH, "readOnly": True},
        ],
    }


def _daemon(settings: KuboSettings) -> dict[str, Any]:
    environment = {"LIBP2P_FORCE_PNET": "1"}
    if settings.memory_target_bytes:
        environment["GOMEMLIMIT"] = str(settings.memory_target_bytes)
    return {
        # No --enable-gc: a collection that waits for a hanging import would block every add.
        **_container("kubo", settings, ["ipfs", "daemon", "--migrate=true"], environment),
        "ports": [
            {"name": "rpc", "containerPort": RPC_PORT, "protocol": "TCP"},
            {"name": "gateway", "containerPort": GATEWAY_PORT, "protocol": "TCP"},
        ],
        # The RPC asks for a token, which a probe cannot carry; whether it works is for the operator's round trip to say.
        "startupProbe": settings.probes.startup.of(_HEALTH_PATH, "gateway"),
        "readinessProbe": settings.probes.readiness.of(_HEALTH_PATH, "gateway"),
        "livenessProbe": settings.probes.liveness.of(_HEALTH_PATH, "gateway"),
        "volumeMounts": list(_MOUNTS),
    }


_MOUNTS = ({"name": "data", "mountPath": DATA_PATH}, {"name": "tmp", "mountPath": "/tmp"})


def _container(name: str, settings: KuboSettings, command: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
    variables = {"IPFS_PATH": REPO_PATH, "HOME": "/tmp", "IPFS_TELEMETRY": "off", **environment}
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "resources": {kind: dict(values) for kind, values in settings.resources.items()},
        "terminationMessagePolicy": "FallbackToLogsOnError",  # a lock that somebody holds, a repository too new
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
