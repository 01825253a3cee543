"""Pods that are told where and how to run, with a real scheduler and kubelet; their namespace takes `restricted` ones alone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import Cluster, condition, message, wait_until
from tests.support.journeys import minilm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE, TAINT, READY = "told", "pinion.test/gpu", ("True", "Serving")
LOOK = """
import json, os, shutil
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "shm": shutil.disk_usage("/dev/shm").total,
    "variables": {name: os.environ.get(name) for name in ("LANG", "NODE", "SETTING", "MISSING")},
    "file": open("/mnt/files/a").read(), "writes": open("/data/b", "w").write("b"),
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
}))
"""


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Cluster]:
    """Return the cluster with a namespace, a ConfigMap in it, and a label on its nodes."""
    with cluster.namespace(NAMESPACE):
        files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": {"a": "from the map"}}
        cluster.apply(files, NAMESPACE)
        cluster.kubectl("label", "nodes", "--all", "--overwrite", "pinion.test/disk=ssd")
        yield cluster
        cluster.kubectl("label", "nodes", "--all", "pinion.test/disk-")


def wait_for(cluster: Cluster, name: str, kind: str, wanted: tuple[str, str]) -> dict[str, Any]:
    """Wait until the newest generation says so, and return the object."""

    def says(obj: dict[str, Any]) -> bool:
        newest = obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
        return newest and condition(obj, kind) == wanted

    return cluster.get_until(f"{kind}={wanted} of {name}", "mdep", name, NAMESPACE, says, timeout=300)


def pod_of(cluster: Cluster, name: str) -> str:
    (pod,) = cluster.get_all("pods", NAMESPACE, f"pinion.dev/deployment={name}")
    return str(pod["metadata"]["name"])


def test_a_tainted_node_serves_who_tolerates_it(place: Cluster) -> None:
    place.kubectl("taint", "nodes", "--all", f"{TAINT}=yes:NoSchedule")
    try:
        place.apply(minilm("tainted"), NAMESPACE)
        obj = wait_for(place, "tainted", "WorkloadReady", ("False", "Unschedulable"))
        assert "untolerated taint" in message(obj, "WorkloadReady")  # which one the scheduler says in some versions only
        place.apply(minilm("tainted", pod={"tolerations": [{"key": TAINT, "operator": "Exists"}]}), NAMESPACE)
        wait_for(place, "tainted", "Ready", READY)
    finally:
        place.kubectl("taint", "nodes", "--all", f"{TAINT}-")
    place.apply(minilm("tainted", pod={"nodeSelector": {"pinion.test/disk": "hdd"}}), NAMESPACE)
    wait_for(place, "tainted", "WorkloadReady", ("False", "Unschedulable"))

    def waits_while_the_old_pod_serves() -> bool:
        obj = place.get("mdep", "tainted", NAMESPACE)
        return condition(obj, "WorkloadReady") == ("False", "Unschedulable") and condition(obj, "Available")[0] == "True"

    wait_until("old pod that serves while the new one waits", waits_while_the_old_pod_serves, timeout=60)
    place.apply(minilm("tainted", pod={"nodeSelector": {"pinion.test/disk": "ssd"}}), NAMESPACE)
    wait_for(place, "tainted", "Ready", READY)
    place.kubectl("delete", "mdep", "tainted", "-n", NAMESPACE)


def test_a_pod_sees_what_it_was_told(place: Cluster) -> None:
    """As a user that no image knows, like those that OpenShift gives; nothing of it needs the switch."""
    spec = {
        "pod": {
            "runAs": "Cluster",
            "securityContext": {"runAsUser": 1_000_700_000, "runAsGroup": 0, "fsGroup": 1_000_700_000},
            "volumes": [
                {"name": "files", "configMap": {"name": "files"}},
                {"name": "space", "emptyDir": {"sizeLimit": "64Mi"}},
            ],
            "volumeMounts": [{"name": "files", "mountPath": "/mnt/files"}, {"name": "space", "mountPath": "/data"}],
        },
        "runtime": {
            "env": [
                {"name": "LANG", "value": "C.UTF-8"},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "files", "key": "a"}}},
                {"name": "MISSING", "valueFrom": {"configMapKeyRef": {"name": "files", "key": "no", "optional": True}}},
            ],
            "shmSize": "96Mi",
        },
    }
    place.apply(minilm("told", **spec), NAMESPACE)
    wait_for(place, "told", "Ready", READY)
    name = pod_of(place, "told")
    seen = json.loads(place.kubectl("exec", name, "-n", NAMESPACE, "--", "python", "-c", LOOK))
    assert (seen["uid"], seen["gid"]) == (1_000_700_000, 0)
    assert 1_000_700_000 in seen["groups"]
    assert seen["shm"] == 96 * 1024 * 1024
    node = place.get("pod", name, NAMESPACE)["spec"]["nodeName"]
    assert seen["variables"] == {"LANG": "C.UTF-8", "NODE": node, "SETTING": "from the map", "MISSING": None}
    assert (seen["file"], seen["writes"], seen["token"]) == ("from the map", 1, False)


def test_code_and_secrets_need_the_switch(place: Cluster) -> None:
    place.apply(minilm("code", runtime={"image": "example.invalid/evil:1"}, pod={"serviceAccountName": "default"}), NAMESPACE)
    obj = wait_for(place, "code", "Stalled", ("True", "InvalidSpec"))
    assert "spec.runtime.image example.invalid/evil:1" in message(obj, "Stalled")
    assert "spec.pod.serviceAccountName" in message(obj, "Stalled")
    assert not place.get_all("pods,deployments", NAMESPACE, "pinion.dev/deployment=code")
