"""The pod of a revision: restricted, read-only, and with what the runtime expects in its place."""

from typing import Any

import pytest

from pinion_contract.names import (
    API_KEYS_PATH,
    CONFIG_PATH,
    HUB_TOKEN_PATH,
    LIVE_PATH,
    MANAGEMENT_PORT,
    PEERS_PATH,
    STATE_PATH,
)
from pinion_operator.resources.pod_settings import PodSettings, TokenSecret
from pinion_operator.resources.pod_volumes import shared_path, token_path
from pinion_operator.resources.podtemplate import build_pod_template
from tests.support.model_world import World

SETTINGS = PodSettings(
    deployment="minilm",
    revision="abc",
    config_map="minilm-abc-01234567",
    peers_secret="minilm-peers-89abcdef",
    image="runtime:1",
    image_pull_policy="IfNotPresent",
    cache_limit="1Gi",
    backend_secrets={
        "first": TokenSecret("first-kubo-client", "token", hosts=False),
        "b" * 63: TokenSecret("elsewhere", "bearer", hosts=True),
    },
    shared_claims={"shared": "models"},
    api_keys_secret="keys",
    hub_token_secret="hub",
    hub_token_key="hf",
)


LEAST = PodSettings("m", "r", "m-r", "m-peers", "i", "Always")


# Of every revision that says nothing of them, since the first.
PROBES = {
    "startup": {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 120},
    "readiness": {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 2},
    "liveness": {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
}


def spec(settings: PodSettings = SETTINGS) -> dict[str, Any]:
    built: dict[str, Any] = build_pod_template(settings)["spec"]
    return built


def test_what_the_restricted_standard_asks_for() -> None:
    pod, (container,) = spec()["securityContext"], spec()["containers"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["seccompProfile"]) == (True, 65532, {"type": "RuntimeDefault"})
    context = container["securityContext"]
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {kind for volume in spec()["volumes"] for kind in volume if kind != "name"} == {
        "configMap", "emptyDir", "secret", "projected", "persistentVolumeClaim",
    }  # fmt: skip


def test_it_has_no_token_and_no_names_of_services() -> None:
    assert (spec()["automountServiceAccountToken"], spec()["enableServiceLinks"]) == (False, False)
    assert spec()["serviceAccountName"] == "minilm-runtime"


def test_every_path_is_mounted_from_a_volume_with_a_valid_name() -> None:
    (container,) = spec()["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec()["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == volumes.keys()
    assert all(len(name) <= 63 for name in volumes)
    assert mounts["/etc/pinion/config"]["readOnly"]
    assert CONFIG_PATH.startswith("/etc/pinion/config/")
    assert LIVE_PATH.startswith("/etc/pinion/live/")
    assert "subPath" not in mounts["/etc/pinion/live"], "the kubelet never updates a subPath"
    assert volumes["state"]["emptyDir"] == {"sizeLimit": "1Gi"}
    assert {STATE_PATH, "/tmp"} <= {path for path, mount in mounts.items() if not mount.get("readOnly")}
    assert mounts[shared_path("shared")].get("readOnly") is None
    assert volumes[mounts[shared_path("shared")]["name"]]["persistentVolumeClaim"] == {"claimName": "models"}


OTHERS = {"bearer": "token", "hosts": "hosts"}
SECRETS = {
    "a managed backend's token": (token_path("first").removesuffix("/token"), "first-kubo-client", {"token": "token"}, True),
    "an external backend's token": (token_path("b" * 63).removesuffix("/token"), "elsewhere", OTHERS, True),
    "the peers' token": (PEERS_PATH, "minilm-peers-89abcdef", {}, False),
    "the clients' keys": (API_KEYS_PATH, "keys", {}, False),
}


@pytest.mark.parametrize(("path", "name", "items", "optional"), SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_mounted_read_only(path: str, name: str, items: dict[str, str], optional: bool) -> None:
    (container,) = spec()["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == path]
    (volume,) = [volume["secret"] for volume in spec()["volumes"] if volume["name"] == mount["name"]]
    assert mount["readOnly"] is True
    assert (volume["secretName"], volume["defaultMode"]) == (name, 0o440)
    assert {item["key"]: item["path"] for item in volume.get("items", ())} == items
    assert volume.get("optional", False) == optional


def test_the_hubs_token_is_mounted_with_its_hosts_which_the_secret_may_lack() -> None:
    (container,) = spec()["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == HUB_TOKEN_PATH]
    (volume,) = [volume["projected"] for volume in spec()["volumes"] if volume["name"] == mount["name"]]
    assert (mount["readOnly"], volume["defaultMode"]) == (True, 0o440)
    assert volume["sources"] == [
        {"secret": {"name": "hub", "items": [{"key": "hf", "path": "token"}]}},
        {"secret": {"name": "hub", "items": [{"key": "hosts", "path": "hosts"}], "optional": True}},
    ]


def test_no_other_secret_is_mounted() -> None:
    def mounted(settings: PodSettings) -> list[str]:
        volumes = spec(settings)["volumes"]
        parts = [part["secret"]["name"] for volume in volumes for part in volume.get("projected", {}).get("sources", ())]
        return sorted({*parts, *(volume["secret"]["secretName"] for volume in volumes if "secret" in volume)})

    assert mounted(SETTINGS) == sorted(["hub", *(name for _, name, _, _ in SECRETS.values())])
    assert mounted(LEAST) == ["m-peers"]


def test_where_it_may_write_is_where_the_libraries_are_told_to() -> None:
    (container,) = spec()["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["HF_HOME"] == f"{STATE_PATH}/hf"
    assert environment["HOME"] == STATE_PATH


def test_probes_ask_the_management_port() -> None:
    (container,) = spec()["containers"]
    ports = {container[name]["httpGet"]["port"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert ports == {MANAGEMENT_PORT}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_how_patiently_they_ask() -> None:
    world = World().serve()
    (container,) = world.deployment["spec"]["template"]["spec"]["containers"]
    times = {name: {key: value for key, value in container[f"{name}Probe"].items() if key != "httpGet"} for name in PROBES}
    assert times == PROBES
    said = {"readiness": {"initialDelaySeconds": 3, "periodSeconds": 4, "timeoutSeconds": 5, "failureThreshold": 6}}
    (container,) = World(probes=said).serve().deployment["spec"]["template"]["spec"]["containers"]
    probe = container["readinessProbe"]
    assert {name: probe[name] for name in said["readiness"]} == said["readiness"]
    assert probe["httpGet"]["path"] == "/readyz", "what is asked is not a user's to say"
    assert container["livenessProbe"]["periodSeconds"] == 10


def test_without_a_limit_the_node_is_the_limit() -> None:
    volumes = {volume["name"]: volume for volume in spec(LEAST)["volumes"]}
    assert volumes["state"]["emptyDir"] == {}
