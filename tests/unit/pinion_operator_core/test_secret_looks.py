"""Whether somebody took our Secrets away is asked when pods start, and hardly ever else."""

import itertools

import pytest

from pinion_operator.cluster.errors import ForbiddenError
from pinion_operator.controller.secret_looks import LONGEST_WAITING, NEW_PODS, SELDOM, WAITING, SecretLooks
from pinion_operator.reconcile.mounts import is_being_created, mounted_secrets

KEY = ("ml", "store")
NONE: frozenset[str] = frozenset()


def make(*, at_start: bool = True) -> tuple[SecretLooks, list[float]]:
    clock = [0.0]
    return SecretLooks(at_start=at_start, now=lambda: clock[0]), clock


def test_once_at_the_start_and_then_hardly_ever() -> None:
    looks, clock = make()
    assert looks.due(KEY, NONE, waits=False)
    asked = []
    for second in range(0, int(3 * SELDOM), 15):
        clock[0] = second
        if looks.due(KEY, NONE, waits=False):
            asked.append(second)
    assert asked == [SELDOM, 2 * SELDOM]
    looks.forget(KEY)
    assert looks.due(KEY, NONE, waits=False), "of another object nothing is known"


def test_a_question_without_an_answer_counts_as_not_asked() -> None:
    looks, _ = make()
    assert looks.due(KEY, NONE, waits=False)
    with pytest.raises(ForbiddenError), looks.asking(KEY):
        raise ForbiddenError("cannot find RESTMapping", status=403)
    assert looks.due(KEY, NONE, waits=False)
    with looks.asking(KEY):
        pass
    assert not looks.due(KEY, NONE, waits=False), "it was answered"


def test_where_the_start_is_no_occasion_nothing_is_asked() -> None:
    looks, _ = make(at_start=False)
    assert not looks.due(KEY, NONE, waits=False)


def test_pods_that_are_new_are_an_occasion_at_most_once_a_minute() -> None:
    looks, clock = make()
    assert looks.due(KEY, frozenset("a"), waits=False)
    clock[0] = NEW_PODS - 1
    assert not looks.due(KEY, frozenset("ab"), waits=False)
    clock[0] = NEW_PODS
    assert looks.due(KEY, frozenset("ab"), waits=False)
    clock[0] = 3 * NEW_PODS
    assert not looks.due(KEY, frozenset("a"), waits=False), "one that is gone is none"
    assert looks.due(KEY, frozenset("ac"), waits=False)


def test_a_pod_that_waits_is_an_occasion_ever_less_often() -> None:
    looks, clock = make(at_start=False)
    asked = []
    for second in range(0, 7200, 1):
        clock[0] = second
        if looks.due(KEY, NONE, waits=True):
            asked.append(second)
    assert asked[:4] == [WAITING, 3 * WAITING, 7 * WAITING, 15 * WAITING]
    distances = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert max(distances) == LONGEST_WAITING
    assert not looks.due(KEY, NONE, waits=False)
    clock[0] += 1
    assert not looks.due(KEY, NONE, waits=True), "another wait begins: most end soon"
    clock[0] += WAITING
    assert looks.due(KEY, NONE, waits=True)


def test_what_a_pod_mounts() -> None:
    projected = {"sources": [{"secret": {"name": "hub"}}, {"configMap": {"name": "c"}}]}
    volumes = [
        {"name": "a", "secret": {"secretName": "peers"}},
        {"name": "b", "emptyDir": {}},
        {"name": "c", "projected": projected},
    ]
    assert mounted_secrets({"metadata": {}, "spec": {"volumes": volumes}}) == {"peers", "hub"}
    assert mounted_secrets({"metadata": {}, "spec": {}}) == frozenset()


def test_whether_containers_are_still_being_made() -> None:
    waiting, running = {"state": {"waiting": {"reason": "ContainerCreating"}}}, {"state": {"running": {}}}
    back_off = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    assert is_being_created({"metadata": {}, "status": {"containerStatuses": [running, waiting]}})
    assert is_being_created({"metadata": {}, "status": {"initContainerStatuses": [waiting]}})
    assert not is_being_created({"metadata": {}, "status": {"containerStatuses": [running, back_off]}})
    assert not is_being_created({"metadata": {"deletionTimestamp": "x"}, "status": {"containerStatuses": [waiting]}})
    assert not is_being_created({"metadata": {}})
