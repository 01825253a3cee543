"""What runs code that is not ours: only where whoever installs Pinion allows it, and never taken from what serves already."""

import pytest

from pinion_operator.reconcile.custom_code import CustomCode
from pinion_operator.reconcile.model.source import SourceFacts
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import SOURCE, World

OFF = CustomCode()
IMAGE = {"image": "evil.example/runtime:1"}


def world(**spec: object) -> World:
    made = World(**spec)
    made.custom_code = OFF
    return made


def upgraded(**spec: object) -> World:
    """Serve with an image of its own, then meet an operator that allows none."""
    made = World(replicas=2, runtime=IMAGE, **spec).backend("ipfs").serve(2)
    made.custom_code = OFF
    return made


def test_a_custom_image_is_refused_and_nothing_is_asked_or_made() -> None:
    new = world(runtime=IMAGE)
    assert not new.scope.needs_source, "the hub is not asked for what cannot be"
    plan = new.settle()
    assert new.children == {}
    assert (new.condition("Ready"), new.condition("Stalled"), new.condition("Reconciling")) == (
        "False/Failed",
        "True/InvalidSpec",
        "-",
    )
    assert "spec.runtime.image evil.example/runtime:1" in new.message("Stalled")
    assert "runtime.customImages.allow" in new.message("Ready")
    assert plan == Plan()


def test_without_it_the_model_is_served() -> None:
    new = world(runtime=IMAGE).backend("ipfs")
    new.settle()
    new.change(runtime={}).serve()
    assert (new.condition("Ready"), new.condition("Stalled")) == ("True/Serving", "-")


@pytest.mark.parametrize("allowed", [CustomCode(allow=True), CustomCode(prefixes=("evil.example",))])
def test_where_it_is_allowed_it_runs(allowed: CustomCode) -> None:
    new = world(runtime=IMAGE).backend("ipfs")
    new.custom_code = allowed
    new.serve()
    assert new.condition("Ready") == "True/Serving"
    assert new.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE["image"]


def test_the_operators_own_image_may_be_named() -> None:
    new = world(runtime={"image": "runtime:1"}).backend("ipfs").serve()
    assert new.condition("Ready") == "True/Serving"


def test_what_serves_goes_on() -> None:
    old = upgraded()
    assert old.decide() == Plan(after=15.0), "nothing is written and no pod is replaced"


def test_what_serves_is_scaled_limited_suspended_and_resumed() -> None:
    old = upgraded()
    template = old.deployment["spec"]["template"]
    old.change(replicas=3).settle()
    assert old.deployment["spec"]["replicas"] == 3
    old.change(replicas=2, limits={"maxQueuedRequests": 7}).settle()
    assert old.live.limits.max_queued_requests == 7
    old.change(suspend=True, limits={}).settle()
    old.no_pods().roll_out().settle()
    assert old.condition("Ready") == "True/Suspended"
    old.change(suspend=False).settle()
    assert old.deployment["spec"]["template"] == template
    assert old.condition("Stalled") == "-"


def test_its_next_change_is_refused_and_its_pods_serve_on() -> None:
    old = upgraded()
    before = dict(old.children)
    old.change(runtime={**IMAGE, "dtype": "bfloat16"}).settle()
    assert (old.condition("Stalled"), old.condition("Available")) == ("True/InvalidSpec", "True/MinimumReplicasAvailable")
    assert old.children == before
    old.change(runtime=IMAGE).settle()
    assert old.condition("Ready") == "True/Serving", "taken back"
    old.change(runtime={}).settle()
    assert old.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "runtime:1"


def test_a_restart_would_be_another_revision() -> None:
    old = upgraded()
    before = dict(old.children)
    old.annotate(restart="now").settle()
    assert (old.condition("Stalled"), old.children) == ("True/InvalidSpec", before)
    old.annotate(restart="").settle()
    assert old.condition("Ready") == "True/Serving"


def test_a_tracked_branch_is_told_and_not_followed() -> None:
    old = upgraded(model={"source": {"huggingFace": {"repo": "org/model", "revisionPolicy": "Track"}}})
    before = dict(old.children)
    old.upstream = SourceFacts("2" * 40, "e2" * 32, SOURCE.total_bytes, SOURCE.file_count)
    old.settle()
    assert (old.condition("Ready"), old.condition("SourceDrifted"), old.children) == (
        "True/Serving",
        "True/UpstreamMoved",
        before,
    )
    assert "no revision can be made: spec.runtime.image" in old.message("SourceDrifted")


def test_a_name_that_is_none_is_told_wherever_images_are_allowed() -> None:
    new = World(runtime={"image": "registry.example/Team/x"})
    new.settle()
    assert new.condition("Stalled") == "True/InvalidSpec"
    assert "is not the name of an image" in new.message("Stalled")
