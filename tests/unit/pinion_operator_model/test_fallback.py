"""`storage.fallback`: what serves, and what is said, while no backend takes or gives the model."""

import pytest

from pinion_contract.config import RuntimeConfig
from pinion_contract.status import BackendUse, Phase
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import CID, World

DOWN = BackendUse(preferred="ipfs", degraded=True, reasons=("ipfs: connection refused",))


def without_backend(replicas: int = 1) -> World:
    """Return a world whose pods serve though its only backend never came up."""
    world = World(replicas=replicas).backend("ipfs", ready=False)
    world.settle()
    for index in range(replicas):
        world.pod(f"pod-{index}", status=world.says(backend=DOWN)).settle()
    world.roll_out().settle()
    return world


def test_automatic_serves_without_a_backend_and_says_so() -> None:
    world = without_backend()
    assert {name: world.condition(name) for name in ("Ready", "ArtifactPinned", "BackendDegraded", "Reconciling")} == {
        "Ready": "True/Serving",
        "ArtifactPinned": "False/BackendUnavailable",
        "BackendDegraded": "True/NoBackendAvailable",
        "Reconciling": "-",
    }
    assert RuntimeConfig.model_validate_json(world.config).fallback == "Automatic"
    assert "no backend has it pinned" in world.message("Ready")
    assert world.decide() == Plan(after=5.0), "soon looked at again, and nothing to write"


def test_a_pod_teaches_its_cid_before_it_is_pinned_so_that_others_fetch_from_it() -> None:
    world = World(replicas=3).backend("ipfs", ready=False)
    world.settle()
    assert world.deployment["spec"]["replicas"] == 1
    world.pod("pod-0", status=world.says(phase=Phase.PINNING, backend=DOWN)).settle()
    assert world.live.cid == CID
    assert world.deployment["spec"]["replicas"] == 3


def test_what_is_pinned_later_rolls_nothing() -> None:
    world = without_backend()
    children = dict(world.children)
    world.backend_is("ipfs", ready=True).settle()
    assert world.condition("ArtifactPinned") == "False/Pinning"
    world.pod("pod-0", status=world.says()).settle()
    assert {name: world.condition(name) for name in ("Ready", "ArtifactPinned", "BackendDegraded")} == {
        "Ready": "True/Serving",
        "ArtifactPinned": "True/Pinned",
        "BackendDegraded": "False/PreferredBackendActive",
    }
    assert world.children == children
    assert world.status.revisions[0].pinned


def test_a_backend_that_breaks_later_takes_nothing_away() -> None:
    world = World().backend("ipfs").serve()
    assert world.condition("BackendDegraded") == "False/PreferredBackendActive"
    world.backend_is("ipfs", ready=False).settle()
    assert (world.condition("Ready"), world.condition("BackendDegraded")) == ("True/Serving", "True/NoBackendAvailable")
    assert world.condition("ArtifactPinned") == "True/Pinned", "the pin is in its datastore still"


LOST = BackendUse(active="ipfs", preferred="ipfs")  # the daemon answers, and has no such pin


@pytest.mark.parametrize(("fallback", "ready"), [("Automatic", "True/Serving"), ("None", "False/Degraded")])
def test_a_pin_that_was_lost_is_not_claimed_until_a_pod_has_made_it_again(fallback: str, ready: str) -> None:
    world = World(storage={"fallback": fallback}).backend("ipfs").serve()
    world.pod("pod-0", status=world.says(backend=LOST)).settle()
    assert (world.condition("ArtifactPinned"), world.condition("Ready")) == ("False/Pinning", ready)
    assert not world.status.revisions[0].pinned
    world.pod("pod-0", status=world.says()).settle()
    assert (world.condition("ArtifactPinned"), world.condition("Ready")) == ("True/Pinned", "True/Serving")


def test_a_pod_that_is_not_so_far_says_nothing_against_a_pin() -> None:
    world = World().backend("ipfs").serve()
    world.no_pods().pod("pod-1", status=world.fetching(100)).settle()
    assert world.condition("ArtifactPinned") == "True/Pinned"
    world.pod("pod-1", status=world.says(phase=Phase.PINNING, backend=BackendUse())).settle()
    assert world.condition("ArtifactPinned") == "True/Pinned"
    world.pod("pod-1", status=world.says()).pod("pod-2", status=world.says(backend=LOST)).settle()
    assert world.condition("ArtifactPinned") == "True/Pinned", "one pod that has confirmed it is enough"


def test_none_waits_before_it_makes_anything() -> None:
    world = World(storage={"fallback": "None"}).backend("ipfs", ready=False)
    world.settle()
    assert world.condition("Ready") == "False/DependencyNotReady"
    assert not world.children
    world.backend_is("ipfs", ready=True).settle()
    assert RuntimeConfig.model_validate_json(world.config).fallback == "None"


def test_none_is_not_ready_before_a_backend_has_confirmed() -> None:
    world = World(storage={"fallback": "None"}).backend("ipfs")
    world.settle()
    world.pod("pod-0", status=world.says(backend=DOWN)).roll_out().settle()
    assert world.condition("Ready") == "Unknown/Progressing"
    world.pod("pod-0", status=world.says()).settle()
    assert world.condition("Ready") == "True/Serving"


def test_a_backend_that_was_just_made_is_waited_for() -> None:
    world = World().backend("ipfs", ready=False)
    world.backend_ages = {"ipfs": 5.0}
    plan = world.settle()
    assert world.condition("Ready") == "False/DependencyNotReady"
    assert plan.after is not None
    world.backend_ages = {"ipfs": 5.0 + plan.after}
    world.settle()
    assert world.condition("Ready") == "Unknown/Progressing"


def test_a_backend_that_is_named_and_does_not_exist_is_waited_for_in_any_case() -> None:
    world = World(storage={"backendRefs": [{"name": "typo"}]}).backend("ipfs")
    world.settle()
    assert world.condition("Ready") == "False/DependencyNotReady"
    assert "'typo'" in world.message("Ready")


@pytest.mark.parametrize(
    ("first", "second", "use", "said"),
    [
        (True, True, None, "False/PreferredBackendActive"),
        (False, True, None, "True/FallbackActive"),
        (False, False, None, "True/NoBackendAvailable"),
        (True, True, BackendUse(active="b", preferred="a", degraded=True, reasons=("a: 500",)), "True/FallbackActive"),
        (True, True, BackendUse(preferred="a", degraded=True, reasons=("a: 500",)), "True/NoBackendAvailable"),
    ],
)
def test_which_backend_serves(first: bool, second: bool, use: BackendUse | None, said: str) -> None:
    world = World(storage={"backendRefs": [{"name": "a"}, {"name": "b"}]}).backend("a").backend("b").serve()
    world.backend_is("a", ready=first).backend_is("b", ready=second)
    if use:
        world.pod("pod-0", status=world.says(backend=use))
    world.settle()
    assert world.condition("BackendDegraded") == said
    assert world.condition("Ready") == "True/Serving"


def test_without_any_backend_nothing_is_degraded() -> None:
    assert World().serve().condition("BackendDegraded") == "-"
