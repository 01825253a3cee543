"""A source that is named by its CID alone: no hub is asked, something must deliver it, and one block has one name."""

from typing import Any

import pytest
from pydantic import ValidationError

from pinion_contract.config import IpfsSource, RuntimeConfig
from pinion_contract.status import BackendUse, Failure, FailureReason, Phase
from pinion_ipfs.content.cid import Cid
from pinion_operator.api.modeldeployment_status import ModelDeploymentStatus
from pinion_operator.api.source import MAX_PATH
from pinion_operator.api.source import IpfsSource as SpecSource
from tests.support.model_world import CID, MANIFEST_CID, OTHER_CID, World

V0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
V1 = str(Cid.parse(V0))
PATHS = ["", "models/one"]


def named(cid: str = CID, path: str = "", **spec: Any) -> World:
    source = {"ipfs": {"cid": cid, **({"path": path} if path else {})}}
    world = World(model={"source": source, **spec.pop("model", {})}, **spec)
    world.resolution = None  # a hub that was asked would have answered
    return world


def said(world: World) -> dict[str, str]:
    return {one.type: f"{one.status}/{one.reason}" for one in told(world).conditions}


def told(world: World) -> ModelDeploymentStatus:
    return ModelDeploymentStatus.model_validate(world.obj["status"])


def message(world: World, type_: str) -> str:
    return next(one.message for one in told(world).conditions if one.type == type_)


def running(world: World) -> tuple[int, int]:
    """Return how many pods there are to be, and how many more a rollout may start at once."""
    spec = world.deployment["spec"]
    return spec["replicas"], spec["strategy"]["rollingUpdate"]["maxSurge"]


def served(world: World) -> World:
    world.settle()
    world.pod("pod-0", status=world.says(model={"size_bytes": 90, "file_count": 3}))
    world.settle()
    world.roll_out().settle()
    return world


@pytest.mark.parametrize(
    ("cid", "path", "address"),
    [(CID, "", CID), (CID, "models/one", f"{CID}/models/one"), (V0, "", V1)],
)
def test_the_cid_is_the_digest_and_pods_are_told_it(cid: str, path: str, address: str) -> None:
    world = named(cid, path).backend("ipfs")
    assert not world.scope.needs_source
    world.settle()
    source = RuntimeConfig.model_validate_json(world.revision.config).source
    assert source == IpfsSource(cid=address.partition("/")[0], path=path)
    assert (world.revision.source.source_digest, world.revision.source.commit) == (address, "")
    assert told(world).source == f"ipfs://{address}"
    assert said(world)["SourceResolved"] == "True/Resolved"
    assert "no hub is asked: pods list its files" in message(world, "SourceResolved")
    assert "SourceDrifted" not in said(world)


def test_what_pods_say_of_its_size_is_told_and_remembered() -> None:
    world = served(named().backend("ipfs"))
    assert said(world)["Ready"] == "True/Serving"
    model = told(world).model
    assert model is not None
    assert (model.cid, model.commit, model.size_bytes, model.file_count) == (CID, "", 90, 3)
    assert message(world, "SourceResolved").endswith("no hub is asked: 3 files, 90 bytes")
    world.change(suspend=True).no_pods().settle()
    assert (told(world).model or model).size_bytes == 90


def test_without_anything_that_could_deliver_it_the_deployment_waits_and_says_for_what() -> None:
    world = named()
    world.settle()
    assert (said(world)["Ready"], said(world)["ArtifactPinned"]) == ("False/DependencyNotReady", "False/NoBackend")
    assert "Reconciling" in said(world)
    assert f"ipfs://{CID} has no hub to come from, and namespace ml has no IpfsBackend" in told(world).message
    assert not world.children
    served(world.backend("ipfs"))
    assert said(world)["Ready"] == "True/Serving"


def test_a_volume_of_its_own_may_have_it_already() -> None:
    world = named(storage={"cache": {"type": "PVC", "pvc": {"size": "1Gi"}}})
    world.settle()
    assert world.revision.backends == ()


def test_a_backend_that_lacks_it_is_waited_for() -> None:
    world = named().backend("ipfs")
    world.settle()
    failure = Failure(
        stage=Phase.RESOLVING, reason=FailureReason.BACKEND_UNAVAILABLE, message=f"{CID}: not there", retrying=True
    )
    world.pod("pod-0", status=world.failed(failure)).settle()
    assert said(world)["Reconciling"] == "True/ProgressingWithRetry"
    assert f"{CID}: not there" in told(world).message + message(world, "Reconciling")


def test_another_cid_rolls_out_and_the_same_block_in_another_spelling_does_not() -> None:
    world = served(named(V0).backend("ipfs"))
    first = world.revision.name
    world.change(model={"source": {"ipfs": {"cid": V1}}}).settle()
    assert world.revision.name == first
    world.change(model={"source": {"ipfs": {"cid": OTHER_CID}}}).settle()
    assert world.revision.name != first


def test_a_text_that_only_looks_like_a_cid_is_refused() -> None:
    world = named("Qm" + "z" * 44).backend("ipfs")
    world.settle()
    assert said(world)["Stalled"] == "True/InvalidSpec"
    assert "spec.model.source.ipfs.cid" in told(world).message


def test_no_hub_token_is_mounted() -> None:
    world = named().backend("ipfs")
    world.settle()
    assert "hub-token" not in str(world.deployment)


def test_the_root_is_known_from_the_start_and_nobody_teaches_another() -> None:
    world = named().backend("ipfs")
    world.known_cids = {CID: OTHER_CID}
    world.settle()
    assert (world.live.cid, world.live.manifest_cid) == (CID, "")
    world.pod("pod-0", status=world.says(model={"cid": OTHER_CID, "manifest_cid": OTHER_CID})).settle()
    assert (world.live.cid, world.live.manifest_cid) == (CID, "")
    world.no_pods().pod("pod-0", status=world.says()).settle()
    assert (world.live.cid, world.live.manifest_cid) == (CID, MANIFEST_CID)


def test_a_folder_is_known_from_its_own_pods_alone() -> None:
    world = named(path="models/one").backend("ipfs")
    world.known_cids = {f"{CID}/models/one": OTHER_CID}
    world.settle()
    assert world.live.cid == ""
    world.pod("pod-0", status=world.says(model={"cid": OTHER_CID})).settle()
    assert world.live.cid == OTHER_CID


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fallback", ["Automatic", "None"])
def test_one_pod_fetches_and_the_others_follow_when_they_can_have_it_from_elsewhere(path: str, fallback: str) -> None:
    world = named(path=path, replicas=8, rollout={"maxSurge": 3}, storage={"fallback": fallback}).backend("ipfs")
    world.settle()
    assert running(world) == (1, 1)
    world.pod("pod-0", status=world.fetching(50)).settle()
    assert running(world) == (1, 1)
    world.pod("pod-0", status=world.says(phase=Phase.PINNING, backend=BackendUse())).settle()
    assert running(world) == ((8, 3) if fallback == "Automatic" else (1, 1)), "verified, and in no backend yet"
    world.pod("pod-0", status=world.says()).settle()
    assert running(world) == (8, 3)
    world.restart().no_pods().settle()
    assert (running(world), world.live.cid) == ((8, 3), CID), "remembered"


@pytest.mark.parametrize("path", PATHS)
def test_another_revision_of_the_same_tree_is_not_fetched_from_afar_again(path: str) -> None:
    world = served(named(path=path, replicas=3, rollout={"maxSurge": 3}).backend("ipfs"))
    assert running(world) == (3, 3)
    first = world.revision.name
    world.change(runtime={"dtype": "bfloat16"}).settle()
    assert world.revision.name != first
    assert (running(world), world.live.cid, world.live.manifest_cid) == ((3, 3), CID, MANIFEST_CID)
    world.change(model={"source": {"ipfs": {"cid": OTHER_CID}}}).settle()
    assert (running(world), world.live.cid, world.live.manifest_cid) == ((3, 1), OTHER_CID, ""), "nobody has brought these yet"


@pytest.mark.parametrize("path", PATHS)
def test_a_pod_whose_bytes_are_wrong_lets_no_other_start(path: str) -> None:
    world = named(path=path, replicas=3).backend("ipfs")
    world.settle()
    failure = Failure(stage=Phase.LOADING, reason=FailureReason.DIGEST_MISMATCH, message="rotten", retrying=True)
    world.pod("pod-0", status=world.says(phase=Phase.LOADING, failure=failure)).settle()
    assert running(world) == (1, 1)


def test_the_longest_path_has_a_status() -> None:
    path = "a" * MAX_PATH
    world = served(named(V0, path).backend("ipfs"))
    assert told(world).source == f"ipfs://{V1}/{path}"
    assert said(world)["Ready"] == "True/Serving"
    with pytest.raises(ValidationError, match="at most 900 characters"):
        SpecSource(cid=CID, path=path + "a")


def test_where_no_backend_is_ready_no_hub_is_said_to_serve() -> None:
    world = served(named().backend("ipfs"))
    world.backend_is("ipfs", ready=False).settle()
    assert message(world, "BackendDegraded") == "none of ipfs is Ready: other pods and the pods' own stores serve"
