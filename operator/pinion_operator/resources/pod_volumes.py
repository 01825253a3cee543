"""The volumes of a runtime pod and where it sees them: configuration, store, Secrets, and what it shares with others."""

from pathlib import PurePosixPath
from typing import Any

from pinion_contract.names import (
    API_KEYS_PATH,
    BACKENDS_PATH,
    CONFIG_PATH,
    HUB_TOKEN_PATH,
    LIVE_PATH,
    PEERS_PATH,
    SHARED_PATH,
    STATE_PATH,
)

from .kinds import Object
from .model_names import live_name
from .pod_settings import TOKEN_KEY, PodSettings

READABLE = 0o440  # mode of Secrets: for this user's group
HOSTS_KEY = "hosts"  # beside a token in its Secret: to whom it may be sent
CONFIG_VOLUME, PEERS_VOLUME, CACHE_VOLUME = "config", "peers", "cache"
HF_HOME = f"{STATE_PATH}/hf"  # the store


def build_volumes(settings: PodSettings) -> list[dict[str, Any]]:
    """Return the volumes of the pod."""
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


def build_mounts(settings: PodSettings) -> list[dict[str, Any]]:
    """Return where the serving container sees each of them."""
    return [
        {"name": CONFIG_VOLUME, "mountPath": str(PurePosixPath(CONFIG_PATH).parent), "readOnly": True},
        {"name": "live", "mountPath": str(PurePosixPath(LIVE_PATH).parent), "readOnly": True},
        {"name": "state", "mountPath": STATE_PATH},
        {"name": "tmp", "mountPath": "/tmp"},
        *([{"name": CACHE_VOLUME, "mountPath": HF_HOME}] if settings.cache_claim else []),
        *({"name": name, "mountPath": path, "readOnly": True} for name, path in _secret_mounts(settings)),
        *({"name": f"shared-{i}", "mountPath": shared_path(name)} for i, name in enumerate(settings.shared_claims)),
    ]


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
