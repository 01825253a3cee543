"""Managed IpfsBackends whose pod, volume or workload is refused, or waits for what is not there."""

import json
from collections.abc import Callable

import pytest

from tests.support.backend_world import BACKEND, World, start, world
from tests.support.operator_process import OperatorProcess
from tests.support.waiting import wait_until
from tests.support.webhook import MutatingWebhook, Object, pod_template, webhook

pytestmark = [pytest.mark.control_plane, pytest.mark.kubo]

__all__ = ["start", "webhook", "world"]

ONCE = {"intervalSeconds": 3600, "timeoutSeconds": 60}  # nothing else wakes anybody
SLOW = {**BACKEND, "spec": {**BACKEND["spec"], "healthCheck": ONCE}}


def set_quota(world: World, hard: str) -> None:
    """Make a quota, and wait until admission knows of it."""
    world.kubectl("create", "quota", "none", f"--hard={hard}")
    wait_until(lambda: world.kubectl("get", "quota", "none", "--output=jsonpath={.status.hard}"), "the quota is known")


def test_a_pod_over_the_quota_is_told_and_comes_when_it_is_raised(world: World, start: Callable[[], OperatorProcess]) -> None:
    set_quota(world, "pods=0")
    operator = start()
    world.apply(SLOW)
    ready = world.wait_condition("Ready", "False", "QuotaExceeded")
    assert "exceeded quota: none" in ready["message"]
    operator.wait_quiet(5)
    world.kubectl("patch", "quota", "none", "--type=merge", "-p", json.dumps({"spec": {"hard": {"pods": "9"}}}))
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    asked = sum("/events" in one.path and one.method == "GET" for one in list(operator.proxy.asked))
    operator.wait_quiet(12)
    assert sum("/events" in one.path and one.method == "GET" for one in list(operator.proxy.asked)) == asked, "at rest"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("priorityClassName", "no PriorityClass with name nosuch was found"),
        ("serviceAccountName", 'serviceaccount "nosuch" not found'),
    ],
)
def test_a_pod_that_names_what_is_not_there(
    world: World, start: Callable[[], OperatorProcess], webhook: MutatingWebhook, field: str, words: str
) -> None:
    def change(obj: Object) -> None:
        if template := pod_template(obj):
            template["spec"][field] = "nosuch"

    webhook.register(change)
    start()
    world.apply(BACKEND)
    ready = world.wait_condition("Ready", "False", "InvalidPodOverride")
    assert words in ready["message"]


def test_a_pod_that_the_standard_of_the_namespace_refuses(
    world: World, start: Callable[[], OperatorProcess], webhook: MutatingWebhook
) -> None:
    def change(obj: Object) -> None:
        if template := pod_template(obj):
            template["spec"]["hostNetwork"] = True

    webhook.register(change)
    world.control_plane.kubectl("label", "namespace", world.namespace, "pod-security.kubernetes.io/enforce=restricted")
    start()
    world.apply(BACKEND)
    ready = world.wait_condition("Ready", "False", "InvalidPodOverride")
    assert "violates PodSecurity" in ready["message"]


def test_a_workload_that_a_policy_refuses_is_stalled_with_its_words(
    world: World, start: Callable[[], OperatorProcess], webhook: MutatingWebhook
) -> None:
    webhook.deny = lambda obj: "StatefulSets are not for you" if obj["kind"] == "StatefulSet" else ""
    webhook.register()
    operator = start()
    world.apply(BACKEND)
    stalled = world.wait_condition("Stalled", "True", "InvalidSpec")
    assert "StatefulSet store-kubo" in stalled["message"]
    assert "StatefulSets are not for you" in stalled["message"]
    operator.wait_quiet(5)
    assert world.get("service", "store-kubo"), "the others are made"
    webhook.remove()
    wait_until(lambda: world.get("statefulset", "store-kubo"), "it is tried again", 120)
    world.wait_condition("Reconciling", "True", "Starting")


def test_a_quota_for_statefulsets_is_told(world: World, start: Callable[[], OperatorProcess]) -> None:
    set_quota(world, "count/statefulsets.apps=0")
    operator = start()
    world.apply(BACKEND)
    stalled = world.wait_condition("Stalled", "True", "QuotaExceeded")
    assert "exceeded quota: none" in stalled["message"]
    operator.wait_quiet(5)


def test_a_full_quota_of_secrets_stops_no_health_check(world: World, start: Callable[[], OperatorProcess]) -> None:
    """Whether our Secrets are there is asked by creating them for show: with a full quota nobody can tell."""
    first = start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    assert first.stop() == 0
    count = len(world.kubectl("get", "secrets", "-o", "name").split())
    set_quota(world, f"count/secrets={count}")
    wait_until(lambda: str(count) in world.kubectl("get", "quota", "none", "--output=jsonpath={.status.used}"), "it is full")
    operator = start()
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total", kind="IpfsBackend") >= 2, "two passes")
    world.kubo.stop()
    world.wait_condition("Ready", "False", "Failed")
    world.kubo.start()
    world.wait_condition("Ready", "True", "Healthy")
    assert operator.failed_passes(kind="IpfsBackend") <= 0
