"""Requests that nobody named: from the model's size, in new revisions alone, within what the namespace and the user say."""

from typing import Any

import pytest

from pinion_operator.api.quantities import Resources
from pinion_operator.reconcile.model.limit_ranges import matter
from pinion_operator.reconcile.model.sizing import effective_resources, sized_resources
from pinion_operator.reconcile.plan import Plan
from pinion_operator.reconcile.quota import is_of_quota, what_to_set
from pinion_operator.resources.kinds import CONTROLLERREVISION, kind_of
from tests.support.model_world import World

MIB, GIB = 1024**2, 1024**3


def sized(total: int, dtype: str = "auto", ranges: tuple[dict[str, Any], ...] = (), **said: Any) -> dict[str, Any]:
    return sized_resources(Resources.model_validate(said), total, dtype, ranges)


SIZES = {  # what the engine takes at its peak was measured for the first three: 670, 1030 and 1950 MiB
    "MiniLM": (91_600_000, "auto", "250m", "896Mi"),
    "BERT base": (438_000_000, "auto", "250m", "1280Mi"),
    "BERT large": (1_340_000_000, "auto", "500m", "2176Mi"),
    "as 32 bits": (1_340_000_000, "float32", "500m", "3584Mi"),
    "as 16 bits": (1_340_000_000, "bfloat16", "500m", "2176Mi"),
    "eight billion numbers": (16 * GIB, "auto", "1", "18816Mi"),
    "nothing": (0, "auto", "250m", "768Mi"),
}


@pytest.mark.parametrize(("total", "dtype", "cpu", "memory"), SIZES.values(), ids=SIZES.keys())
def test_the_larger_the_model_the_more_is_reserved(total: int, dtype: str, cpu: str, memory: str) -> None:
    assert sized(total, dtype) == {"requests": {"cpu": cpu, "memory": memory}}


SAID: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a request": ({"requests": {"memory": "2Gi"}}, {"requests": {"cpu": "250m", "memory": "2Gi"}}),
    "a limit": ({"limits": {"memory": "600Mi"}}, {"requests": {"cpu": "250m"}, "limits": {"memory": "600Mi"}}),
    "both": (
        {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
        {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
    ),
    "a GPU": (
        {"limits": {"nvidia.com/gpu": 1}},
        {"requests": {"cpu": "250m", "memory": "896Mi"}, "limits": {"nvidia.com/gpu": 1}},
    ),
}


@pytest.mark.parametrize(("said", "wanted"), SAID.values(), ids=SAID.keys())
def test_what_is_said_stands_and_no_request_is_made_up_beside_a_limit(said: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Kubernetes itself requests the limit of what has no request."""
    assert sized(91_600_000, **said) == wanted


def limit_range(**item: Any) -> dict[str, Any]:
    return {"spec": {"limits": [{"type": "Pod", "max": {"memory": "1Mi"}}, {"type": "Container", **item}]}}


RANGES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a default limit": (limit_range(default={"memory": "512Mi"}, defaultRequest={"memory": "256Mi"}), {"cpu": "250m"}),
    "default limits of both": (limit_range(default={"memory": "512Mi", "cpu": "1"}), {}),
    "a minimum above": (limit_range(min={"memory": "2Gi", "cpu": "100m"}), {"cpu": "250m", "memory": "2Gi"}),
    "a default request alone": (limit_range(defaultRequest={"memory": "64Mi"}), {"cpu": "250m", "memory": "896Mi"}),
    "nothing": ({"spec": {}}, {"cpu": "250m", "memory": "896Mi"}),
}


@pytest.mark.parametrize(("found", "requests"), RANGES.values(), ids=RANGES.keys())
def test_a_namespaces_own_defaults_go_before_ours(found: dict[str, Any], requests: dict[str, str]) -> None:
    assert sized(91_600_000, ranges=(found,)).get("requests", {}) == requests


def test_a_new_revision_has_requests_and_status_shows_them() -> None:
    world = World(runtime={"resources": {"limits": {"cpu": "2"}}}).backend("ipfs").serve()
    (container,) = world.deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"memory": "896Mi"}, "limits": {"cpu": "2"}}
    assert world.status.resources is not None
    assert world.status.resources.to_object() == {"requests": {"cpu": "2", "memory": "896Mi"}, "limits": {"cpu": "2"}}


def test_status_shows_what_there_is_and_nothing_else() -> None:
    world = World().serve()
    assert world.obj["status"]["resources"] == {"requests": {"cpu": "250m", "memory": "896Mi"}}


def test_a_revision_of_before_is_left_alone_until_it_is_told_to_restart() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    before = world.revision
    for child in world.children.values():  # as an operator that knew no defaults has rendered it
        if kind_of(child) == CONTROLLERREVISION:
            child["data"]["template"]["spec"]["containers"][0]["resources"] = {}
    world.settle()
    for name in ("pod-0", "pod-1"):
        world.pod(name, status=world.says())
    world.roll_out().settle()
    assert world.decide() == Plan(after=15.0)
    assert (world.revision.name, world.status.resources) == (before.name, None)
    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["resources"] == {}
    world.annotate(restart="now").settle()
    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "250m", "memory": "896Mi"}
    }


def test_the_namespace_is_asked_only_where_something_is_rendered() -> None:
    world = World()
    assert matter(world.seen())
    world.resolution = None
    assert not matter(world.seen()), "nobody knows the size yet"
    world = World().serve()
    assert not matter(world.seen())
    assert matter(world.change(runtime={"dtype": "bfloat16"}).seen())
    assert not matter(world.change(suspend=True).seen())


def test_a_limit_without_a_request_is_what_the_scheduler_reserves() -> None:
    container = {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi", "nvidia.com/gpu": 1}}}
    assert effective_resources(container) == {
        "requests": {"memory": "1Gi", "nvidia.com/gpu": 1},
        "limits": {"memory": "2Gi", "nvidia.com/gpu": 1},
    }
    assert effective_resources({}) == {"requests": {}, "limits": {}}


FORBIDDEN = 'pods "m-6b-x" is forbidden: '
REFUSALS = {
    "limits that a quota wants": (
        "failed quota: q: must specify limits.cpu for: runtime; limits.memory for: runtime",
        "set spec.r.limits.cpu and spec.r.limits.memory",
    ),
    "a request that a quota wants": ("failed quota: q: must specify cpu for: runtime", "set spec.r.requests.cpu"),
    "too much memory": (
        "exceeded quota: q, requested: requests.memory=896Mi, used: requests.memory=1Gi, limited: requests.memory=1Gi",
        "lower spec.r.requests.memory, or raise the quota",
    ),
    "too much of three": (
        "exceeded quota: q, requested: cpu=250m,limits.memory=1Gi,pods=1, used: cpu=1,pods=3, limited: cpu=1,pods=3",
        "lower spec.r.requests.cpu, spec.r.limits.memory and spec.n, or raise the quota",
    ),
    "too many pods": (
        "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
        "lower spec.n, or raise the quota",
    ),
    "below a minimum": (
        "minimum memory usage per Container is 2Gi, but request is 896Mi",
        "set spec.r.requests.memory and spec.r.limits.memory as the namespace's LimitRange wants them",
    ),
    "a ratio": (
        "cpu max limit to request ratio per Container is 2, but provided ratio is 8.000000",
        "set spec.r.requests.cpu and spec.r.limits.cpu as the namespace's LimitRange wants them",
    ),
    "something else": ("violates PodSecurity", ""),
}


@pytest.mark.parametrize(("said", "advice"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_the_api_server_misses_is_named_as_fields(said: str, advice: str) -> None:
    assert what_to_set(FORBIDDEN + said, "spec.r", count="spec.n") == advice
    assert is_of_quota(FORBIDDEN + said) == ("quota" in said)


def test_of_one_pod_nothing_can_be_lowered() -> None:
    said = "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"
    assert what_to_set(said, "spec.r") == "raise the quota"
