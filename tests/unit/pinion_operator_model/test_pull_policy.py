"""The operator's pull policy reaches pods whose object names none, and what runs is not replaced for it."""

from typing import Any

import pytest

from pinion_operator.api.modeldeployment import ModelDeploymentSpec
from pinion_operator.reconcile.model.inputs import hash_inputs, revision_name
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import World


def policy(world: World) -> str:
    return str(world.deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"])


@pytest.mark.parametrize("runtime", [{}, {"imagePullPolicy": ""}], ids=["none", "empty"])
def test_an_object_without_one_has_the_operators(runtime: dict[str, str]) -> None:
    world = World(runtime=runtime)
    world.image_pull_policy = "Always"
    world.settle()
    assert policy(world) == "Always"


@pytest.mark.parametrize("own", ["IfNotPresent", "Never", "Always"])
def test_what_an_object_says_wins(own: str) -> None:
    world = World(runtime={"imagePullPolicy": own})
    world.image_pull_policy = "Never" if own == "Always" else "Always"
    world.settle()
    assert policy(world) == own


@pytest.mark.parametrize("before", [{}, {"imagePullPolicy": "IfNotPresent"}], ids=["none", "as API servers wrote it"])
def test_another_default_and_the_other_word_for_it_replace_no_pod(before: dict[str, str]) -> None:
    world = World(replicas=2, runtime=before).backend("ipfs").serve(2)
    name = world.revision.name
    world.image_pull_policy = "Always"
    assert world.decide() == Plan(after=15.0)
    world.change(runtime={"imagePullPolicy": "" if before else "IfNotPresent"}).settle()
    assert (world.revision.name, policy(world)) == (name, "IfNotPresent")
    world.change(runtime={}).annotate(restart="now").settle()
    assert world.revision.name != name
    assert policy(world) == "Always", "the next revision takes it up"


def stored(**runtime: Any) -> ModelDeploymentSpec:
    """Return a spec as API servers stored it while IfNotPresent was the schema's default: with all defaults written out."""
    source = {"repo": "org/model", "revision": "main", "revisionPolicy": "Pin", "trackIntervalSeconds": 900, "endpoint": ""}
    return ModelDeploymentSpec.model_validate(
        {
            "suspend": False,
            "model": {"name": "", "source": {"huggingFace": {**source, "allowPatterns": [], "ignorePatterns": []}}},
            "storage": {
                "backendRefs": [],
                "fallback": "Automatic",
                "pinning": "Required",
                "cache": {"type": "Ephemeral", "sizeLimit": ""},
            },
            "runtime": {
                "image": "",
                "imagePullPolicy": "IfNotPresent",
                "resources": {"requests": {}, "limits": {}},
                "dtype": "auto",
                **runtime,
            },
            "replicas": 1,
        }
    )


# What the operator computed before the default was empty: another value rolls every model of every cluster.
BEFORE: dict[str, tuple[dict[str, Any], str, str]] = {
    "all defaults": ({}, "ec33ef7477", "b7c66477822f5e9e"),
    "an image and resources": (
        {"image": "r:2", "resources": {"requests": {"cpu": 1}, "limits": {"memory": "2Gi"}}},
        "66e3c32081",
        "9f63a349d07996dd",
    ),
    "Always": ({"imagePullPolicy": "Always"}, "0e779028db", "8c6982aca6dc3f8d"),
    "a number format": ({"dtype": "float32"}, "3f00711a9c", "40ebe16c3ffb5e31"),
}


@pytest.mark.parametrize(("runtime", "name", "inputs"), BEFORE.values(), ids=BEFORE.keys())
def test_revisions_keep_their_names(runtime: dict[str, Any], name: str, inputs: str) -> None:
    written, unsaid = stored(**runtime), stored(**{"imagePullPolicy": "", **runtime})
    for spec in (written, unsaid):
        assert revision_name(spec, "d1" * 32, namespace_backends=True) == name
        hashes = hash_inputs(spec)
        assert hashes.namespace.startswith(inputs)
        assert hashes.first_forms[0].namespace.startswith(inputs), "the form before, which older revisions carry"
