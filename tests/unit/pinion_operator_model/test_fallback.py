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


def unasked(**spec: object) -> World:
    """Return a world whose only backend the operator does not ask."""
    return World(**spec).backend("ipfs").backend_is_not_asked("ipfs")


def said(world: World) -> dict[str, str]:
    return {name: world.condition(name) for name in ("Ready", "ArtifactPinned", "BackendDegraded")}


@pytest.mark.parametrize("fallback", ["Automatic", "None"])
def test_a_model_starts_with_a_backend_that_is_not_asked_and_its_pods_tell(fallback: str) -> None:
    world = unasked(storage={"fallback": fallback})
    world.settle()
    assert world.revision.backends == ("ipfs",)
    assert said(world) == {
        "Ready": "Unknown/Progressing",
        "ArtifactPinned": "False/Pinning",
        "BackendDegraded": "Unknown/NotAsked",
    }
    world.pod("pod-0", status=world.says()).roll_out().settle()
    assert said(world) == {
        "Ready": "True/Serving",
        "ArtifactPinned": "True/Pinned",
        "BackendDegraded": "False/PreferredBackendActive",
    }
    assert "does not ask it" in world.message("BackendDegraded")
    assert world.decide() == Plan(after=15.0)


def test_what_pods_say_of_a_backend_that_is_not_asked_is_told() -> None:
    world = unasked()
    world.settle()
    world.pod("pod-0", status=world.says(backend=DOWN)).roll_out().settle()
    assert said(world) == {
        "Ready": "True/Serving",
        "ArtifactPinned": "False/BackendUnavailable",
        "BackendDegraded": "True/NoBackendAvailable",
    }
    assert "pods say: ipfs: connection refused" in world.message("ArtifactPinned")
    waiting = unasked(storage={"fallback": "None"})
    waiting.settle()
    waiting.pod("pod-0", status=waiting.says(backend=DOWN)).roll_out().settle()
    assert waiting.condition("Ready") == "Unknown/Progressing"


@pytest.mark.parametrize("fallback", ["Automatic", "None"])
def test_a_backend_that_is_not_asked_any_more_touches_nothing_that_runs(fallback: str) -> None:
    world = World(storage={"fallback": fallback}).backend("ipfs").serve()
    children = dict(world.children)
    world.backend_is_not_asked("ipfs").settle()
    assert said(world) == {
        "Ready": "True/Serving",
        "ArtifactPinned": "True/Pinned",
        "BackendDegraded": "False/PreferredBackendActive",
    }
    assert world.children == children


def test_a_model_that_does_without_a_backend_is_not_rolled_because_nobody_asks_it() -> None:
    world = World().serve()
    world.backend("ipfs", ready=False).settle()
    children = dict(world.children)
    world.backend_is_not_asked("ipfs").settle()
    assert world.children == children
    world.backend_is("ipfs", ready=True).settle()
    assert world.children != children, "pinning is required as soon as it is possible"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("not asked", "ready", "False/PreferredBackendActive"),
        ("ready", "not asked", "False/PreferredBackendActive"),
        ("broken", "not asked", "True/FallbackActive"),
    ],
)
def test_one_that_is_not_asked_beside_one_that_is(first: str, second: str, said: str) -> None:
    world = World(storage={"backendRefs": [{"name": "a"}, {"name": "b"}]}).backend("a").backend("b").serve()
    for name, state in (("a", first), ("b", second)):
        if state == "not asked":
            world.backend_is_not_asked(name)
        else:
            world.backend_is(name, ready=state == "ready")
    world.settle()
    assert world.condition("BackendDegraded") == said


def test_without_any_backend_nothing_is_degraded() -> None:
    assert World().serve().condition("BackendDegraded") == "-"
