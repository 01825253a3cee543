"""What the operator was installed with reaches the pods of new revisions, and of those alone."""

from typing import Any

import pytest

from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.platform import PLAIN, Platform
from tests.support.model_world import World

SECRETS = Platform(image_pull_secrets=("registry", "mirror"))
NAMED = [{"name": "registry"}, {"name": "mirror"}]

# What the operator can be installed with, and the part of a pod's spec that shows it.
SETTINGS: dict[str, tuple[Platform, str, Any]] = {"Secrets of a registry": (SECRETS, "imagePullSecrets", NAMED)}
each_setting = pytest.mark.parametrize(("platform", "field", "shown"), SETTINGS.values(), ids=SETTINGS.keys())


def world_on(platform: Platform, **spec: Any) -> World:
    world = World(replicas=2, **spec)
    world.platform = platform
    return world.backend("ipfs").serve(2)


def pod(world: World) -> dict[str, Any]:
    spec: dict[str, Any] = world.deployment["spec"]["template"]["spec"]
    return spec


@each_setting
def test_a_new_revision_has_it(platform: Platform, field: str, shown: Any) -> None:
    assert pod(world_on(platform))[field] == shown


@each_setting
def test_what_runs_is_left_alone_until_it_is_told_to_restart(platform: Platform, field: str, shown: Any) -> None:
    world = world_on(PLAIN)
    before, world.platform = world.revision, platform
    assert world.decide() == Plan(after=15.0)
    world.annotate(restart="now").settle()
    assert pod(world)[field] == shown
    other = World(replicas=2)
    other.platform = platform
    assert other.backend("ipfs").serve(2).revision.name == before.name, "it is no input of the user's"


@each_setting
def test_what_the_operator_no_longer_says_stays_in_the_revision_that_had_it(platform: Platform, field: str, shown: Any) -> None:
    world = world_on(platform)
    world.platform = PLAIN
    assert world.decide() == Plan(after=15.0)
    assert pod(world)[field] == shown


def test_the_objects_own_secrets_are_used_instead() -> None:
    world = world_on(SECRETS, pod={"imagePullSecrets": [{"name": "mine"}]})
    assert pod(world)["imagePullSecrets"] == [{"name": "mine"}]
    world.change(pod={}).settle()
    assert pod(world)["imagePullSecrets"] == NAMED


def test_without_any_a_pod_names_none() -> None:
    assert "imagePullSecrets" not in pod(world_on(PLAIN))


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
    "empty parents": ({"pod": {}, "runtime": {}, "storage": {}}, "ec33ef7477"),
}


@pytest.mark.parametrize(("spec", "name"), NAMES.values(), ids=NAMES.keys())
def test_a_revision_keeps_the_name_that_it_has_had(spec: dict[str, Any], name: str) -> None:
    assert world_on(PLAIN, **spec).revision.name == name
