"""What pods are told in files that never change, and what in one that may: names, owner and the expected CID roll nothing."""

import json
from typing import Any

import pytest

from pinion_contract.config import LiveConfig, RuntimeConfig, config_digest
from pinion_operator.reconcile.model.revision import Revision, revisions_of
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.configmap import LIVE_KEY, build_live_config_map
from pinion_operator.resources.kinds import CONFIGMAP, CONTROLLERREVISION, Ref, kind_of
from pinion_operator.resources.model_names import config_map_name, peers_secret_name
from tests.support.model_world import CID, NAME, NAMESPACE, OTHER_CID, UID, World

SOURCE = {"huggingFace": {"repo": "org/model"}}


def serving(**spec: Any) -> World:
    return World(**spec).backend("ipfs").serve()


def mounted(world: World) -> str:
    volumes = {volume["name"]: volume for volume in world.revision.template["spec"]["volumes"]}
    return str(volumes["config"]["configMap"]["name"])


def live_text(world: World) -> str:
    (live,) = (child for ref, child in world.children.items() if ref.name.endswith("-live"))
    return str(live["data"][LIVE_KEY])


def made_before(world: World, **config: str) -> World:
    """Let its revision be one that an operator made whose pods read name and expected CID in config.json."""
    told = {**json.loads(world.revision.config), "deploymentUid": UID, "modelName": NAME, "expectedCid": "", **config}
    text = json.dumps(told)
    name = f"{NAME}-{world.revision.name}"
    for ref, child in list(world.children.items()):
        if kind_of(child) == CONTROLLERREVISION:
            del child["data"]["configMap"]
            child["data"] |= {"config": text, "configDigest": config_digest(text)}
            template = json.loads(json.dumps(child["data"]["template"]).replace(mounted(world), name))
            child["data"]["template"] = template
        if ref.kind == CONFIGMAP and not ref.name.endswith("-live"):
            del world.children[ref]
    return world.settle_as_before()


def test_the_config_maps_name_tells_its_content() -> None:
    world = serving()
    name = config_map_name(NAME, world.revision.name, config_digest(world.config))
    assert name == f"{NAME}-{world.revision.name}-{config_digest(world.config)[:8]}"
    assert mounted(world) == name == world.revision.config_map
    assert world.children[Ref(CONFIGMAP, NAMESPACE, name)]["immutable"] is True
    assert len(config_map_name("m" * 40, "r" * 10, "d" * 64)) <= 60


def test_the_same_object_made_anew_has_the_same_configuration_and_another_secret() -> None:
    first, second = serving(), World().backend("ipfs")
    second.obj["metadata"]["uid"] = "another-uid"
    second.settle()
    assert (second.config, mounted(second)) == (first.config, mounted(first)), "nothing of the owner is in what never changes"
    assert second.live.owner == "another-uid"
    secrets = [[ref.name for ref in world.children if ref.kind.name == "Secret"] for world in (first, second)]
    assert secrets == [[peers_secret_name(NAME, UID)], [peers_secret_name(NAME, "another-uid")]]
    assert secrets[0] != secrets[1], "the garbage collector may still take the predecessor's"


def test_a_revision_rendered_anew_has_a_config_map_of_its_own() -> None:
    """Somebody has deleted the ControllerRevision, and an operator with other defaults renders the revision again."""
    world = serving()
    before = mounted(world)
    for ref in [ref for ref, child in world.children.items() if kind_of(child) == CONTROLLERREVISION]:
        del world.children[ref]
    world.backends[0]["spec"]["transfer"] = {"stallTimeoutSeconds": 7}
    world.settle()
    assert mounted(world) != before
    assert RuntimeConfig.model_validate_json(world.config).backends[0].stall_timeout_seconds == 7
    for index in range(1):
        world.pod(f"pod-{index}", status=world.says())
    world.roll_out().settle()
    assert world.condition("Ready") == "True/Serving"
    assert Ref(CONFIGMAP, NAMESPACE, before) not in world.children, "what no revision mounts any more goes"


LIVE: dict[str, dict[str, Any]] = {
    "the served name": {"name": "other"},
    "the expected CID, when it is the right one": {"expected": {"cid": CID}},
}


@pytest.mark.parametrize("change", LIVE.values(), ids=LIVE.keys())
def test_what_pods_read_while_they_run_rolls_nothing(change: dict[str, Any]) -> None:
    world = serving()
    before = (world.revision, world.deployment["spec"]["template"])
    world.change(model={"source": SOURCE, **change}).settle()
    assert (world.revision, world.deployment["spec"]["template"]) == before
    world.pod("pod-0", status=world.says())
    world.settle()
    assert world.condition("Ready") == "True/Serving"
    expected = change.get("expected", {}).get("cid", "")
    assert (world.live.served_names[0], world.live.expected_cid) == (change.get("name", NAME), expected)


def test_an_expected_cid_that_disagrees_is_an_integrity_failure_and_rolls_nothing() -> None:
    world = serving()
    before = world.revision
    world.change(model={"source": SOURCE, "expected": {"cid": OTHER_CID}}).settle()
    assert world.revision == before
    assert (world.condition("Ready"), world.condition("Stalled")) == ("False/Failed", "True/IntegrityFailure")
    assert (world.condition("ArtifactVerified"), world.condition("Available")) == (
        "False/CIDMismatch",
        "True/MinimumReplicasAvailable",
    )
    assert OTHER_CID in world.message("Stalled")
    assert CID in world.message("Stalled")
    assert world.live.expected_cid == OTHER_CID, "a pod that starts now refuses to load"
    world.change(model={"source": SOURCE, "expected": {"cid": CID}}).settle()
    world.pod("pod-0", status=world.says())
    world.settle()
    assert world.condition("Ready") == "True/Serving"


def test_a_pod_that_has_not_read_its_name_yet_does_not_count() -> None:
    world = serving()
    old = world.says()
    world.change(model={"source": SOURCE, "name": "other"}).settle()
    world.pod("pod-0", status=old)
    world.settle()
    assert world.condition("Ready") != "True/Serving"


# revisions that were made before


def test_an_upgrade_rolls_nothing_and_tells_pods_only_what_they_know() -> None:
    world = made_before(serving())
    before = world.revision
    assert before.is_first_form
    assert world.decide() == Plan(after=15.0)
    live = json.loads(next(iter(build_live_config_map(world.obj, "r", world.live, first_fields=True)["data"].values())))
    assert live.keys() == {"cid", "manifestCid", "limits"}
    world.change(limits={"maxQueuedRequests": 1}).settle()
    assert world.revision == before


@pytest.mark.parametrize("before", [False, True], ids=["of this form", "of the first form"])
def test_a_limit_that_came_later_is_told_where_it_is_set_and_else_to_nobody(before: bool) -> None:
    world = made_before(serving()) if before else serving()
    told, pods = live_text(world), (world.revision, world.deployment["spec"]["template"])
    assert "maxTokensPerRequest" not in told, "pods that do not know it would refuse the whole file"
    world.change(limits={"maxTokensPerRequest": 300_000}).settle()
    assert live_text(world) == told
    world.change(limits={"maxTokensPerRequest": 5}).settle()
    assert json.loads(live_text(world))["limits"]["maxTokensPerRequest"] == 5
    assert (world.revision, world.deployment["spec"]["template"]) == pods, "no limit replaces a pod"


def test_an_upgrade_of_a_named_model_that_expects_a_cid_rolls_nothing() -> None:
    model = {"source": SOURCE, "name": "other", "expected": {"cid": CID}}
    world = made_before(serving(model=model), modelName="other", expectedCid=CID)
    assert world.decide() == Plan(after=15.0)


def test_expecting_the_cid_that_is_served_rolls_nothing_after_an_upgrade() -> None:
    world = made_before(serving())
    before = world.revision
    world.change(model={"source": SOURCE, "expected": {"cid": CID}}).settle()
    assert world.revision == before
    assert world.condition("Ready") == "True/Serving"
    world.change(model={"source": SOURCE, "expected": {"cid": OTHER_CID}}).settle()
    assert (world.revision, world.condition("Stalled")) == (before, "True/IntegrityFailure")


def test_another_name_after_an_upgrade_is_another_revision_since_its_pods_cannot_be_told() -> None:
    world = made_before(serving())
    before = world.revision
    world.change(model={"source": SOURCE, "name": "other"}).settle()
    assert world.revision.name != before.name
    assert not world.revision.is_first_form
    assert world.live.served_names[0] == "other"
    assert [known.name for known in revisions_of(world.children.values())][1:] == [before.name]


def test_the_same_bytes_under_a_new_commit_keep_a_named_revision_of_before() -> None:
    model = {"source": SOURCE, "name": "other"}
    world = made_before(serving(model=model), modelName="other")
    before = world.revision
    world.change(model={"source": {"huggingFace": {"repo": "org/model", "revision": "v2"}}, "name": "other"}).settle()
    assert world.revision.name == before.name
    assert world.condition("Ready") == "True/Serving"


def test_a_revision_reads_back_what_it_wrote() -> None:
    world = serving()
    assert Revision.from_object({**world.revision.to_object(world.obj)}).config_map == world.revision.config_map
    assert isinstance(world.live, LiveConfig)
