"""What running pods are told: limits, names and the expected CID; soon, once, and by nothing but an annotation."""

import pytest

from pinion_contract.config import Limits
from pinion_operator.reconcile.model.live import MAX_NAMES, RENAMING_SECONDS, is_renaming
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import POD, Ref
from tests.support.model_world import NAME, NAMESPACE, World

SOURCE = {"huggingFace": {"repo": "org/model"}}


def serving(replicas: int = 2) -> World:
    return World(replicas=replicas).backend("ipfs").serve(replicas)


def rename(world: World, name: str) -> World:
    world.change(model={"source": SOURCE, "name": name})
    return world


def read_by(world: World, *pods: str) -> World:
    """Let these pods have read what is in the live ConfigMap."""
    for pod in pods:
        world.pod(pod, status=world.says(limits=world.live.limits))
    return world


def names(world: World) -> tuple[str, ...]:
    return world.live.served_names


def test_pods_that_have_read_something_else_are_told_once() -> None:
    world = serving()
    world.change(limits={"maxQueuedRequests": 7})
    first = world.decide()
    assert first.annotate == {}, "what is to be read has to be there first"
    world.carry_out(first)
    plan = world.decide()
    pods = [Ref(POD, NAMESPACE, f"pod-{number}") for number in range(2)]
    assert sorted(plan.annotate) == pods
    world.carry_out(plan)
    assert world.decide() == Plan(after=1.5), "nothing is written again and again"
    read_by(world, "pod-0", "pod-1").settle()
    assert world.decide() == Plan(after=15.0)


def test_a_pod_that_has_read_it_is_not_told() -> None:
    world = serving()
    world.change(limits={"maxQueuedRequests": 7})
    world.carry_out(world.decide())
    world.pod("pod-0", status=world.says(limits=Limits(max_queued_requests=7)))
    assert list(world.decide().annotate) == [Ref(POD, NAMESPACE, "pod-1")]


def test_the_message_says_that_pods_serve_and_are_being_told() -> None:
    world = serving()
    world.change(limits={"maxQueuedRequests": 7}).settle()
    assert world.condition("Ready") == "Unknown/Progressing"
    assert world.message("Ready") == "0 of 2 replicas serve; 2 more serve and are being told a change"


# web pages that may read answers


def test_pages_that_may_read_answers_are_told_and_roll_nothing() -> None:
    world = serving()
    before = (world.revision, world.deployment["spec"]["template"])
    world.change(cors={"allowOrigins": ["https://app.example"]})
    world.carry_out(world.decide())
    assert world.live.cors_origins == ("https://app.example",)
    assert sorted(world.decide().annotate) == [Ref(POD, NAMESPACE, f"pod-{number}") for number in range(2)]
    world.settle()
    assert world.message("Ready") == "0 of 2 replicas serve; 2 more serve and are being told a change"
    read_by(world, "pod-0", "pod-1").settle()
    assert (world.condition("Ready"), world.decide()) == ("True/Serving", Plan(after=15.0))
    assert (world.revision, world.deployment["spec"]["template"]) == before


def test_pages_that_may_no_longer() -> None:
    world = serving()
    world.change(cors={"allowOrigins": ["*"]}).settle()
    read_by(world, "pod-0", "pod-1").settle()
    world.change(cors={"allowOrigins": []}).settle()
    assert world.condition("Ready") != "True/Serving"
    read_by(world, "pod-0", "pod-1").settle()
    assert (world.live.cors_origins, world.condition("Ready")) == (None, "True/Serving")


def test_pods_from_before_there_was_such_a_thing_count_as_they_are() -> None:
    world = serving()
    world.change(cors={"allowOrigins": ["*"]})
    for name in ("pod-0", "pod-1"):
        world.pod(name, status=world.says(cors_origins=None))
    world.settle()
    assert (world.condition("Ready"), world.decide()) == ("True/Serving", Plan(after=15.0))


def test_what_nobody_asked_for_is_not_written() -> None:
    live = next(child for ref, child in serving().children.items() if ref.name.endswith("-live"))
    assert "cors" not in live["data"]["live.json"]


# another name


def test_all_pods_answer_to_both_names_before_the_old_one_goes() -> None:
    world = rename(serving(), "other")
    world.settle()
    assert names(world) == ("other", NAME)
    read_by(world, "pod-0").settle()
    assert not is_renaming(world.seen(), world.scope.model, world.revision), "one pod does not know it yet"
    assert world.condition("Ready") != "True/Serving"
    read_by(world, "pod-1").settle()
    assert is_renaming(world.seen(), world.scope.model, world.revision)
    assert (world.condition("Ready"), names(world)) == ("True/Serving", ("other", NAME))
    world.renaming_age = RENAMING_SECONDS - 0.1
    assert world.decide() == Plan(after=15.0)
    world.renaming_age = RENAMING_SECONDS
    world.carry_out(world.decide())
    assert names(world) == ("other",)
    world.renaming_age = 0.0
    read_by(world, "pod-0", "pod-1").settle()
    assert (world.condition("Ready"), names(world)) == ("True/Serving", ("other",))


def test_going_back_to_the_old_name_in_the_middle() -> None:
    world = rename(serving(), "other")
    world.settle()
    rename(world, "").settle()
    assert names(world) == (NAME, "other")


def test_names_are_bounded() -> None:
    world = serving()
    for number in range(MAX_NAMES + 2):
        rename(world, f"name-{number}").settle()
    assert len(names(world)) == MAX_NAMES
    assert names(world)[0] == f"name-{MAX_NAMES + 1}"


def test_pods_of_another_revision_answer_to_the_old_name_too() -> None:
    world = serving()
    world.change(model={"source": SOURCE, "name": "other"}, runtime={"dtype": "bfloat16"}).settle()
    assert names(world) == ("other", NAME)


@pytest.mark.parametrize("text", ["{", "{}", '{"servedNames": 1}'])
def test_somebodys_edit_of_the_live_config_map_is_put_right(text: str) -> None:
    world = serving()
    live = next(child for ref, child in world.children.items() if ref.name.endswith("-live"))
    live["data"]["live.json"] = text
    world.settle()
    assert names(world) == (NAME,)


# pinion.dev/restart in status


def test_the_status_tells_which_restart_has_been_seen() -> None:
    world = serving()
    world.annotate(restart="now")
    world.carry_out(world.decide())
    assert world.status.restart == ""
    assert world.condition("Ready") == "Unknown/Progressing"
    world.settle()
    assert (world.status.restart, world.condition("Ready")) == ("now", "Unknown/Progressing"), "never before Ready is Unknown"
    world.annotate(restart="x" * 3000).settle()
    assert world.status.restart == "x" * 1024
