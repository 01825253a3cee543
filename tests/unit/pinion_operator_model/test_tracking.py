"""A branch that moves: followed with Track, told with Pin, and the same bytes under a new commit are no news."""

from dataclasses import replace

import pytest

from pinion_contract.status import Phase
from pinion_operator.conditions import Reason
from pinion_operator.reconcile.model.revision import revisions_of
from pinion_operator.reconcile.model.source import Unresolved
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import CID, MANIFEST_CID, OTHER_CID, SOURCE, World

SAME_BYTES = replace(SOURCE, commit="2" * 40)
NEW_BYTES = replace(SOURCE, commit="3" * 40, source_digest="e3" * 32)


def tracking(**spec: object) -> World:
    world = World(model={"source": {"huggingFace": {"repo": "org/model", "revisionPolicy": "Track"}}}, replicas=2, **spec)
    world.backend("ipfs").serve(2)
    world.upstream = SOURCE
    world.settle()
    return world


def pinned() -> World:
    world = World(replicas=2).backend("ipfs").serve(2)
    world.upstream = SOURCE
    world.settle()
    return world


def serve_new(world: World, cid: str = OTHER_CID) -> World:
    """Let pods of the current revision replace those that are there."""
    for name in ("pod-0", "pod-1"):
        world.pod(name, status=world.says(model={"cid": cid, "opened_cid": cid}))
    world.settle()
    world.roll_out().settle()
    return world


@pytest.mark.parametrize("make", [tracking, pinned])
def test_a_branch_that_stays_is_up_to_date(make: type[World]) -> None:
    world = make()
    assert world.condition("SourceDrifted") == "False/UpToDate"
    assert world.status.model is not None
    assert world.status.model.upstream_commit == SOURCE.commit


@pytest.mark.parametrize("make", [tracking, pinned])
def test_the_same_bytes_under_a_new_commit_touch_no_child(make: type[World]) -> None:
    world = make()
    children = dict(world.children)
    world.upstream = SAME_BYTES
    world.settle()
    assert (world.condition("Ready"), world.condition("SourceDrifted")) == ("True/Serving", "False/UpToDate")
    assert world.children == children
    assert world.status.model is not None
    assert (world.status.model.commit, world.status.model.upstream_commit) == (SOURCE.commit, SAME_BYTES.commit)
    assert SAME_BYTES.commit in world.message("SourceDrifted")


def test_pin_tells_of_new_bytes_and_stays() -> None:
    world = pinned()
    children = dict(world.children)
    world.upstream = NEW_BYTES
    world.settle()
    assert (world.condition("Ready"), world.condition("SourceDrifted")) == ("True/Serving", "True/UpstreamMoved")
    assert world.children == children
    assert NEW_BYTES.commit in world.message("SourceDrifted")
    world.upstream = SOURCE
    world.settle()
    assert world.condition("SourceDrifted") == "False/UpToDate"


def test_track_rolls_new_bytes_out_after_it_has_said_so() -> None:
    world = tracking()
    world.upstream = NEW_BYTES
    plan = world.decide()
    assert plan.status is not None
    said = {condition["type"]: condition["status"] for condition in plan.status["conditions"]}
    assert (said["Ready"], said["Reconciling"], said["Available"]) == ("Unknown", "True", "True")
    assert [child["kind"] for child in plan.apply] == ["ControllerRevision"]
    world.settle()
    assert world.deployment["spec"]["template"] == world.revision.template
    assert world.revision.source == NEW_BYTES
    serve_new(world)
    assert (world.condition("Ready"), world.condition("SourceDrifted")) == ("True/Serving", "False/UpToDate")
    assert world.status.model is not None
    assert (world.status.model.commit, world.status.model.cid) == (NEW_BYTES.commit, OTHER_CID)


def test_a_branch_that_moves_back_finds_its_revision_and_its_cid() -> None:
    world = tracking()
    first = world.revision.name
    world.upstream = NEW_BYTES
    world.settle()
    second = serve_new(world).revision.name
    world.upstream = SOURCE
    world.settle()
    assert world.revision.name == first, "it is the newest again"
    assert len(revisions_of(world.children.values())) == 2
    live = world.live
    assert (live.cid, live.manifest_cid) == (CID, MANIFEST_CID), "nothing has to come from the hub"
    serve_new(world, CID)
    assert [known.name for known in world.status.revisions] == [first, second]
    assert world.decide() == Plan(after=15.0)


def test_an_operator_that_has_just_started_knows_nothing_and_leaves_what_was_said() -> None:
    world = pinned()
    world.upstream = NEW_BYTES
    world.settle()
    world.upstream = None
    assert world.decide() == Plan(after=15.0)


@pytest.mark.parametrize("make", [tracking, pinned])
def test_that_nobody_asks_is_said_and_moves_nothing(make: type[World]) -> None:
    world = make()
    children = dict(world.children)
    world.unasked = Unresolved(Reason.UNAUTHORIZED, "the token is not sent there", final=True, again_in=60, asked=False)
    world.settle()
    assert (world.condition("Ready"), world.condition("SourceDrifted")) == ("True/Serving", "Unknown/Unauthorized")
    assert world.message("SourceDrifted") == ("nobody asks where org/model at main leads by now: the token is not sent there")
    assert world.children == children
    world.unasked = None
    world.settle()
    assert world.condition("SourceDrifted") == "False/UpToDate"


def test_another_image_does_not_move_a_tracked_commit_by_itself() -> None:
    world = tracking()
    world.upstream, world.resolution = None, None
    world.change(runtime={"image": "runtime:2"}).settle()
    assert world.revision.source == SOURCE


@pytest.mark.parametrize("commit", ["a" * 40, "A" * 40])
def test_a_commit_never_drifts(commit: str) -> None:
    world = World(model={"source": {"huggingFace": {"repo": "org/model", "revision": commit}}}).serve()
    assert world.condition("SourceDrifted") == "-"
    assert world.status.model is not None
    assert world.status.model.upstream_commit == ""


def test_following_or_not_is_no_revision() -> None:
    world = pinned()
    children = dict(world.children)
    world.change_source(revisionPolicy="Track", trackIntervalSeconds=60).settle()
    assert world.children == children
    assert world.condition("Ready") == "True/Serving"


def test_new_bytes_that_do_not_fit_are_refused_and_the_old_ones_serve_on() -> None:
    world = tracking(storage={"cache": {"sizeLimit": "1Gi"}})
    world.upstream = replace(NEW_BYTES, total_bytes=2 << 30)
    world.settle()
    assert (world.condition("Stalled"), world.condition("Available")) == (
        "True/InsufficientStorage",
        "True/MinimumReplicasAvailable",
    )


@pytest.mark.parametrize("idle", [{"suspend": True}, {"replicas": 0}])
def test_without_pods_nothing_is_followed(idle: dict[str, object]) -> None:
    world = tracking().change(**idle)
    world.settle()
    world.no_pods().roll_out().settle()
    children = dict(world.children)
    world.upstream = NEW_BYTES
    world.settle()
    assert world.children == children


# the CID of bytes that are known already


def test_new_bytes_start_with_one_pod_whatever_may_surge() -> None:
    world = tracking(rollout={"maxSurge": 5, "maxUnavailable": 2})
    rolling = world.deployment["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 5, "maxUnavailable": 2}
    world.upstream = NEW_BYTES
    world.settle()
    assert world.deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert world.deployment["spec"]["replicas"] == 2
    new = world.says(phase=Phase.LOADING, model={"cid": OTHER_CID, "opened_cid": ""})
    world.pod("new", status=new).settle()
    assert world.deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 5, "maxUnavailable": 2}
    assert world.live.cid == OTHER_CID


def test_without_room_for_another_pod_one_is_replaced_first() -> None:
    world = World(replicas=3, rollout={"maxSurge": 0, "maxUnavailable": 3}).backend("ipfs")
    world.settle()
    assert world.deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_another_image_over_the_same_bytes_knows_their_cid_at_once() -> None:
    world = pinned()
    world.change(runtime={"image": "runtime:2"}).settle()
    live = world.live
    assert (live.cid, live.manifest_cid) == (CID, MANIFEST_CID)
    assert world.condition("ArtifactPinned").startswith("False"), "no pod of it has confirmed a pin"


def test_the_cid_of_the_same_bytes_in_another_deployment_is_taken_over_without_its_manifest() -> None:
    world = World(replicas=2).backend("ipfs")
    world.known_cids = {SOURCE.source_digest: CID, NEW_BYTES.source_digest: OTHER_CID}
    world.settle()
    live = world.live
    assert (live.cid, live.manifest_cid) == (CID, ""), "a manifest names the repository too"
    assert world.deployment["spec"]["replicas"] == 2
    world.pod("pod-0", status=world.says()).settle()
    assert world.status.model is not None
    assert world.status.model.manifest_cid == MANIFEST_CID


def test_a_cid_known_elsewhere_is_nothing_while_the_hub_refuses_us() -> None:
    world = World().backend("ipfs")
    world.known_cids = {SOURCE.source_digest: CID}
    world.resolution = Unresolved("Unauthorized", "gated", final=True, again_in=60.0)
    world.settle()
    assert not world.children
    assert world.condition("Stalled") == "True/Unauthorized"


def test_another_cid_than_expected_is_not_taken_over() -> None:
    world = World(model={"expected": {"cid": OTHER_CID}}).backend("ipfs")
    world.known_cids = {SOURCE.source_digest: CID}
    world.settle()
    assert world.live.cid == ""
