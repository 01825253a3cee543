"""What the operator was installed with reaches the pods of new revisions, and of those alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pinion_contract.names import AUTHORITIES_PATH, STATE_PATH
from pinion_operator.resources.extra_env import parse_extra_env
from pinion_operator.resources.kinds import CONFIGMAP, Ref
from pinion_operator.resources.platform import PLAIN, Platform
from tests.support.model_world import NAME, NAMESPACE, World

SECRETS = Platform(image_pull_secrets=("registry", "mirror"))
NAMED = [{"name": "registry"}, {"name": "mirror"}]

TEAM = {"name": "TEAM", "value": "nlp"}
FROM = {"name": "SITE", "valueFrom": {"configMapKeyRef": {"name": "site", "key": "name", "optional": True}}}
NO_XET = {"name": "HF_HUB_DISABLE_XET", "value": "1"}
CERTIFICATES = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"

Shows = Callable[[dict[str, Any]], bool]

# What the operator can be installed with, and whether a pod's spec shows it.
SETTINGS: dict[str, tuple[Platform, Shows]] = {
    "Secrets of a registry": (SECRETS, lambda pod: pod.get("imagePullSecrets") == NAMED),
    "variables": (Platform(env=(TEAM, FROM)), lambda pod: TEAM in variables(pod) and FROM in variables(pod)),
    "no Xet": (Platform(model_env=(NO_XET,)), lambda pod: NO_XET in variables(pod)),
    "authorities": (
        Platform(authorities=CERTIFICATES),
        lambda pod: {"name": "PINION_CA_FILE", "value": AUTHORITIES_PATH} in variables(pod),
    ),
}
each_setting = pytest.mark.parametrize(("platform", "shows"), SETTINGS.values(), ids=SETTINGS.keys())


def world_on(platform: Platform, **spec: Any) -> World:
    world = World(replicas=2, **spec)
    world.platform = platform
    return world.backend("ipfs").serve(2)


def variables(pod: dict[str, Any]) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = pod["containers"][0]["env"]
    return env


def pod(world: World) -> dict[str, Any]:
    spec: dict[str, Any] = world.deployment["spec"]["template"]["spec"]
    return spec


@each_setting
def test_a_new_revision_has_it(platform: Platform, shows: Shows) -> None:
    assert shows(pod(world_on(platform)))
    assert not shows(pod(world_on(PLAIN)))


@each_setting
def test_what_runs_is_left_alone_until_it_is_told_to_restart(platform: Platform, shows: Shows) -> None:
    world = world_on(PLAIN)
    before, world.platform = world.revision, platform
    world.settle()
    assert world.revision == before
    assert world.deployment["spec"]["template"] == before.template
    world.annotate(restart="now").settle()
    assert shows(pod(world))
    other = World(replicas=2)
    other.platform = platform
    assert other.backend("ipfs").serve(2).revision.name == before.name, "it is no input of the user's"


@each_setting
def test_what_the_operator_no_longer_says_stays_in_the_revision_that_had_it(platform: Platform, shows: Shows) -> None:
    world = world_on(platform)
    before, world.platform = world.revision, PLAIN
    world.settle()
    assert world.revision == before
    assert shows(pod(world))


def test_the_objects_own_secrets_are_used_instead() -> None:
    world = world_on(SECRETS, pod={"imagePullSecrets": [{"name": "mine"}]})
    assert pod(world)["imagePullSecrets"] == [{"name": "mine"}]
    world.change(pod={}).settle()
    assert pod(world)["imagePullSecrets"] == NAMED


def test_without_any_a_pod_names_none() -> None:
    assert "imagePullSecrets" not in pod(world_on(PLAIN))


def authorities_of(world: World) -> str | None:
    child = world.children.get(Ref(CONFIGMAP, NAMESPACE, f"{NAME}-authorities"))
    return child["data"]["ca.crt"] if child else None


def test_authorities_follow_the_operators_file_and_restart_nothing() -> None:
    world = world_on(Platform(authorities=CERTIFICATES))
    before = world.revision
    (volume,) = [volume for volume in pod(world)["volumes"] if volume["name"] == "authorities"]
    assert volume["configMap"]["name"] == f"{NAME}-authorities"
    assert volume["configMap"]["optional"], "a pod of this revision starts also when there are none any more"
    (mount,) = [mount for mount in pod(world)["containers"][0]["volumeMounts"] if mount["name"] == "authorities"]
    assert f"{mount['mountPath']}/ca.crt" == AUTHORITIES_PATH
    for text in (CERTIFICATES, CERTIFICATES * 2, None):
        world.platform = Platform(authorities=text or "")
        world.settle()
        assert authorities_of(world) == text
        assert world.revision == before
        assert world.condition("Ready") == "True/Serving"


def test_a_container_that_sets_a_variable_itself_keeps_its_own() -> None:
    world = world_on(Platform(env=({"name": "HOME", "value": "/elsewhere"}, TEAM)))
    assert [entry["value"] for entry in variables(pod(world)) if entry["name"] == "HOME"] == [STATE_PATH]
    assert TEAM in variables(pod(world))


def test_what_is_for_models_alone_is_said_once_and_by_the_installations_own_variables_first() -> None:
    told = {"name": "HF_HUB_DISABLE_XET", "value": "0"}
    world = world_on(Platform(env=(TEAM, told), model_env=(NO_XET,)))
    assert [entry for entry in variables(pod(world)) if entry["name"] == "HF_HUB_DISABLE_XET"] == [told]


def test_no_variable_of_ours_can_be_given_to_every_container() -> None:
    world = world_on(Platform(authorities=CERTIFICATES))
    for entry in variables(pod(world)):
        with pytest.raises(ValueError, match=entry["name"]):
            parse_extra_env(json.dumps([{"name": entry["name"], "value": "x"}]))


# Revisions of before: another name would roll every model at an upgrade.
NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing said": ({}, "ec33ef7477"),
    "much said": (
        {
            "runtime": {"image": "runtime:2", "dtype": "bfloat16", "resources": {"limits": {"memory": "2Gi"}}},
            "storage": {"backendRefs": [{"name": "ipfs"}], "cache": {"sizeLimit": "1Gi"}},
            "auth": {"mode": "APIKey", "secretRef": {"name": "keys"}},
            "terminationGracePeriodSeconds": 400,
        },
        "fedf9faf01",
    ),
    "empty parents": ({"pod": {}, "runtime": {}, "storage": {}, "probes": {"startup": {}}, "disruption": {}}, "ec33ef7477"),
}


@pytest.mark.parametrize(("spec", "name"), NAMES.values(), ids=NAMES.keys())
def test_a_revision_keeps_the_name_that_it_has_had(spec: dict[str, Any], name: str) -> None:
    assert world_on(PLAIN, **spec).revision.name == name
