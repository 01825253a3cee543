"""Webhooks that change what the operator applies for a managed IpfsBackend."""

import itertools
import json
import time
from collections.abc import Callable

import pytest

from tests.support.backend_world import BACKEND, World, start, world
from tests.support.operator_process import OperatorProcess
from tests.support.waiting import wait_until
from tests.support.webhook import MutatingWebhook, Object, containers, webhook

pytestmark = [pytest.mark.control_plane, pytest.mark.kubo]

__all__ = ["start", "webhook", "world"]

TURNS = itertools.count()


def adapt(obj: Object) -> None:
    """Do as platforms do: a mirror, a pull policy, a StorageClass, another type of Service, labels."""
    obj["metadata"].setdefault("labels", {})["app.kubernetes.io/part-of"] = "platform"
    for container in containers(obj):
        container["imagePullPolicy"] = "Always"
        if not container["image"].startswith("mirror.test/"):
            container["image"] = f"mirror.test/{container['image']}"
    if obj["kind"] == "StatefulSet":
        obj["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "of-the-platform"
    if obj["kind"] == "Service":
        obj["spec"]["type"] = "NodePort"


def images(world: World) -> set[str]:
    workload = world.get("statefulset", "store-kubo") or {}
    return {container["image"] for container in containers(workload)}


def test_a_platform_that_adapts_everything_is_ready_told_and_never_fought(
    world: World, start: Callable[[], OperatorProcess], webhook: MutatingWebhook
) -> None:
    webhook.register(adapt)
    operator = start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    operator.wait_quiet(7)  # a health check and more
    said = world.condition("Ready")["message"]
    for named in ("StatefulSet store-kubo: ", "Service store-kubo: ", "NetworkPolicy store-kubo: ", "ConfigMap store-kubo: "):
        assert f"admission changed {named}" in said, said
    assert 'spec.type is "NodePort" instead of "ClusterIP"' in said
    assert 'containers[kubo].image is "mirror.test/' in said
    applied = [one.path for one in operator.writes(decided=True) if one.path.endswith("/store-kubo")]
    assert len(applied) == 4, f"each child once: {applied}"
    assert operator.stop() == 0

    second = start()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total", kind="IpfsBackend") >= 2, "two passes")
    second.wait_quiet(3)
    assert second.writes() == []
    before = images(world)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "kubo", "image": "somebody.test/other:2"}]}}}}
    world.kubectl("patch", "statefulset", "store-kubo", "-p", json.dumps(patch))
    wait_until(lambda: images(world) == before, "somebody's edit is put right")

    webhook.remove()
    resources = {"limits": {"memory": "2Gi"}}
    world.kubectl(
        "patch", "ipfsbackend", "store", "--type=merge", "-p", json.dumps({"spec": {"managed": {"resources": resources}}})
    )
    wait_until(lambda: all("mirror.test" not in image for image in images(world)), "the next change comes as it was sent")
    workload = world.get("statefulset", "store-kubo") or {}
    assert workload["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "of-the-platform", "nobody can change it"
    second.wait_quiet(3)
    assert "Stalled" not in {one["type"] for one in (world.get("ipfsbackend", "store") or {})["status"]["conditions"]}


def test_a_daemon_that_would_leave_its_private_swarm_is_stalled(
    world: World, start: Callable[[], OperatorProcess], webhook: MutatingWebhook
) -> None:
    def open_up(obj: Object) -> None:
        for container in containers(obj):
            container["env"] = [one for one in container["env"] if one["name"] != "LIBP2P_FORCE_PNET"]

    webhook.register(open_up)
    operator = start()
    world.apply(BACKEND)
    stalled = world.wait_condition("Stalled", "True", "AdmissionConflict")
    assert "containers[kubo].env[LIBP2P_FORCE_PNET]" in stalled["message"]
    operator.wait_quiet(5)
    assert len([one for one in operator.writes(decided=True) if one.path.endswith("/statefulsets/store-kubo")]) == 1


def strip_finalizers(obj: Object) -> None:
    if obj["kind"] == "IpfsBackend":
        obj["metadata"].pop("finalizers", None)
        obj["metadata"].setdefault("annotations", {})["policy.test/at"] = str(next(TURNS))


def reword(obj: Object) -> None:
    for condition in obj.get("status", {}).get("conditions", ()) if obj["kind"] == "IpfsBackend" else ():
        condition["message"] = f"the policy's words {next(TURNS)}"


@pytest.mark.parametrize("change", [strip_finalizers, reword])
def test_what_is_done_to_the_object_itself_is_not_fought_in_a_loop(
    world: World, start: Callable[[], OperatorProcess], webhook: MutatingWebhook, change: Callable[[Object], None]
) -> None:
    webhook.register(change, "ipfsbackends", "ipfsbackends/status")
    operator = start()
    world.apply(BACKEND)
    wait_until(lambda: world.get("statefulset", "store-kubo"), "its children are made")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total", result="ineffective"), "it comes to rest")
    since, before = time.monotonic(), len(operator.writes())
    wait_until(lambda: time.monotonic() - since > 10, "ten seconds pass")
    assert len(operator.writes()) - before < 10, [one.path for one in operator.writes()[before:]]
