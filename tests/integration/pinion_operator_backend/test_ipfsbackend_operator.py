"""IpfsBackends with the real operator, a real API server, and a real Kubo in the place of the pod's container."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from devcluster.kubectl import KubectlError
from tests.support.api_proxy import Fault
from tests.support.backend_world import BACKEND, GRACE, World, start, world
from tests.support.operator_process import OperatorProcess
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane, pytest.mark.kubo]

CID = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"  # of b"hello\n", as Kubo itself says
READY = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-01-01T00:00:00Z"}

__all__ = ["start", "world"]


def test_from_apply_to_ready_and_then_silence(world: World, start: Callable[[], OperatorProcess]) -> None:
    operator = start()
    world.apply(BACKEND)
    world.wait_condition("Reconciling", "True", "Starting")

    def owned() -> dict[str, Any] | None:
        """Return the volume claim; the controller makes it, and writes its owner a moment later."""
        found = world.get("persistentvolumeclaim", "data-store-kubo-0")
        return found if found and "ownerReferences" in found["metadata"] else None

    claim = wait_until(owned, "the volume claim goes with its StatefulSet: reclaimPolicy Delete")
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    assert claim["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    backend = world.get("ipfsbackend", "store") or {}
    assert {one["type"] for one in backend["status"]["conditions"]} == {"Ready", "Reachable", "RoundTripHealthy"}
    assert backend["status"]["peerID"] == world.kubo.call("id", world.kubo.credentials.operator_token).json()["ID"]
    assert backend["status"]["observedGeneration"] == 1
    client = world.get("secret", "store-kubo-client") or {}
    assert base64.b64decode(client["data"]["token"]).decode() == world.kubo.credentials.client_token

    operator.wait_quiet(seconds=1.0)
    before, passes = len(operator.writes()), operator.metric("pinion_operator_reconcile_total", kind="IpfsBackend")
    wait_until(
        lambda: operator.metric("pinion_operator_reconcile_total", kind="IpfsBackend") >= passes + 2, "two health checks"
    )
    assert operator.writes()[before:] == []
    # A new operator finds everything as it should be.
    operator.stop()
    again = start()
    wait_until(lambda: again.metric("pinion_operator_reconcile_total", kind="IpfsBackend") > 0, "a first pass")
    again.wait_quiet(seconds=3.0)
    assert again.writes() == []


def test_a_server_that_does_not_know_the_new_kind_yet_delays_nothing(
    world: World, start: Callable[[], OperatorProcess]
) -> None:
    """What admits children hears of a definition up to half a minute late, and refuses Secrets that are only asked for, too."""
    operator = start()
    text = 'secrets "s" is forbidden: cannot set blockOwnerDeletion in this case because cannot find RESTMapping'
    unknown = Fault(lambda request: "dryRun" in request.query, 403, left=2, message=text)
    operator.proxy.faults.append(unknown)
    world.apply(BACKEND)
    wait_until(lambda: world.get("statefulset", "store-kubo"), "what makes the pod")
    assert world.get("secret", "store-kubo-client"), "what the pod mounts comes before it"
    assert unknown.met == 2


def test_of_the_object_itself_only_finalizer_and_status_are_written(world: World, start: Callable[[], OperatorProcess]) -> None:
    operator = start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    done = [one for one in operator.writes() if "/ipfsbackends/store" in one.path and one.status < 400]
    written = [json.loads(one.body) for one in done if not one.path.endswith("/status")]
    assert [body.keys() for body in written] == [{"metadata"}]
    assert written[0]["metadata"].keys() == {"finalizers", "resourceVersion"}
    backend = world.get("ipfsbackend", "store") or {}
    assert backend["metadata"]["generation"] == 1
    assert "labels" not in backend["metadata"]
    assert backend["metadata"]["annotations"].keys() == {"kubectl.kubernetes.io/last-applied-configuration"}


def test_pods_pass_restricted(world: World, start: Callable[[], OperatorProcess]) -> None:
    world.control_plane.kubectl("label", "namespace", world.namespace, "pod-security.kubernetes.io/enforce=restricted")
    start()
    world.apply(BACKEND)
    wait_until(lambda: world.get("pod", "store-kubo-0"), "the pod, admitted under `restricted`")


def test_a_daemon_that_goes_and_comes_back(world: World, start: Callable[[], OperatorProcess]) -> None:
    start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    world.kubo.stop()
    world.wait_condition("Reachable", "False", "Unreachable")
    world.wait_condition("Ready", "False", "Failed")
    world.wait_condition("Reconciling", "True", "ProgressingWithRetry")
    world.kubo.start()
    world.wait_condition("Ready", "True", "Healthy")


def test_pins_become_what_is_wanted(world: World, start: Callable[[], OperatorProcess]) -> None:
    start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    theirs = {world.pin(b"by hand", name=""), world.pin(b"by hand, with a name", name="backup")}
    kept = world.pin(b"hello\n")
    assert kept == CID
    world.apply_model("keeps", conditions=[READY], model={"cid": kept})
    world.apply_model("starts")  # nobody has looked at it yet: its pods may pin
    wait_until(lambda: (world.get("ipfsbackend", "store") or {})["status"].get("boundModels") == 2, "both are bound")
    pinned_just_now = world.pin(b"pinned by a pod of `starts`")
    time.sleep(GRACE + 6)  # longer than grace and an interval: there is no condition to wait for, it must stay
    assert world.pins() == {kept, pinned_just_now} | theirs
    revisions = [{"name": "r1", "cid": pinned_just_now}]
    world.set_status("modeldeployment", "starts", {"observedGeneration": 1, "conditions": [READY], "revisions": revisions})
    stray = world.pin(b"nobody's")
    wait_until(lambda: world.pins() == {kept, pinned_just_now} | theirs, f"{stray} goes, the others stay")
    world.kubectl("delete", "modeldeployment", "starts")
    wait_until(lambda: world.pins() == {kept} | theirs, "the pins of a deleted ModelDeployment go")


def test_a_pin_that_was_lost_is_made_again(world: World, start: Callable[[], OperatorProcess]) -> None:
    start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    kept, gone = world.pin(b"hello\n"), world.pin(b"lost with its bytes")
    world.apply_model("keeps", conditions=[READY], model={"cid": kept, "manifestCID": gone})
    wait_until(lambda: (world.get("ipfsbackend", "store") or {})["status"].get("boundModels") == 1, "it is bound")
    operator_token = world.kubo.credentials.operator_token

    def lost() -> bool:
        """Remove pin and bytes: a look of the operator in between may pin what still has its bytes."""
        world.kubo.call("pin/rm", operator_token, params={"arg": gone})
        world.kubo.call("block/rm", operator_token, params={"arg": gone})
        answer = world.kubo.call("block/stat", operator_token, params={"arg": gone, "offline": "true"})
        return "could not find" in answer.text or "not found" in answer.text

    wait_until(lost, "the bytes are gone")
    world.kubo.call("pin/rm", operator_token, params={"arg": kept}).raise_for_status()
    # The next look, which may have come already, makes one of them again.
    wait_until(lambda: world.pins() == {kept}, "what is held whole is pinned again; what is not keeps nobody from it")


def test_deletion_waits_for_its_users_and_names_them(world: World, start: Callable[[], OperatorProcess]) -> None:
    start()
    world.apply(BACKEND)
    world.apply_model("minilm")
    wait_until(lambda: (world.get("ipfsbackend", "store") or {}).get("status", {}).get("boundModels") == 1, "it is bound")
    world.kubectl("delete", "ipfsbackend", "store", "--wait=false")
    blocked = world.wait_condition("DeletionBlocked", "True", "InUse")
    assert "used by ModelDeployment minilm" in blocked["message"]
    assert world.get("statefulset", "store-kubo"), "it goes on serving"
    world.kubectl("patch", "ipfsbackend", "store", "--type=merge", "-p", '{"spec": {"priority": 7}}')
    mounted = world.mounted()
    world.kubectl("delete", "modeldeployment", "minilm")
    for kind, name in (
        ("ipfsbackend", "store"),
        ("statefulset", "store-kubo"),
        ("service", "store-kubo"),
        ("configmap", "store-kubo"),
        ("secret", mounted),
        ("secret", "store-kubo-client"),
    ):
        wait_until(lambda kind=kind, name=name: world.get(kind, name) is None, f"{kind} {name} is gone")


def test_a_volume_over_the_quota_is_named(world: World, start: Callable[[], OperatorProcess]) -> None:
    world.kubectl("create", "quota", "none", "--hard=persistentvolumeclaims=0")
    used = "--output=jsonpath={.status.hard}"  # admission knows of it from then on
    wait_until(lambda: world.kubectl("get", "quota", "none", used), "the quota is known")
    start()
    world.apply(BACKEND)
    wait_until(
        lambda: "its claim data-store-kubo-0 is not there" in world.condition("Ready").get("message", ""), "the claim is named"
    )
    assert world.wait_condition("Ready", "False", "QuotaExceeded")["message"].startswith("its pod is not made")


def test_a_taken_name_stalls_and_the_strangers_object_stays(world: World, start: Callable[[], OperatorProcess]) -> None:
    start()
    world.kubectl("create", "configmap", "store-kubo", "--from-literal=mine=1")
    world.apply(BACKEND)
    stalled = world.wait_condition("Stalled", "True", "NameTaken")
    assert "ConfigMap store-kubo" in stalled["message"]
    assert (world.get("configmap", "store-kubo") or {})["data"] == {"mine": "1"}
    world.kubectl("delete", "configmap", "store-kubo")
    world.wait_condition("Reconciling", "True", "Starting")


def test_no_secret_is_read_and_what_somebody_took_away_comes_back(world: World, start: Callable[[], OperatorProcess]) -> None:
    operator = start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    before = {name: (world.get("secret", name) or {})["data"] for name in ("store-kubo-client", world.mounted())}
    for name in before:
        world.kubectl("delete", "secret", name)
    assert operator.stop() == 0
    again = start()  # a running one asks once a minute whether they are there
    for name, data in before.items():
        wait_until(lambda name=name: world.get("secret", name), f"{name} is back")
        assert (world.get("secret", name) or {})["data"] == data
    own = f"{world.namespace}-operator-key"
    for one in (*operator.proxy.asked, *again.proxy.asked):
        assert one.method != "GET" or "/secrets" not in one.path or one.path.endswith(f"/{own}"), one.path
    token = base64.b64decode(before["store-kubo-client"]["token"])
    assert token not in operator.log.read_bytes() + again.log.read_bytes()


def test_an_operator_with_another_key_tells_the_daemon_anew(world: World, start: Callable[[], OperatorProcess]) -> None:
    operator = start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    client, mounted = world.get("secret", "store-kubo-client") or {}, world.mounted()
    assert operator.stop() == 0
    world.kubectl("delete", "secret", f"{world.namespace}-operator-key")
    start()
    wait_until(lambda: world.mounted() != mounted, "the StatefulSet mounts another Secret")
    wait_until(lambda: world.get("secret", mounted) is None, "the old one is gone")
    told = wait_until(lambda: world.get("secret", "store-kubo-client"), "the pods' Secret")
    assert told["data"] != client["data"]
    fresh = world.get("secret", world.mounted()) or {}
    assert fresh["data"]["client-token"] == told["data"]["token"]


def test_scaling_a_volume_is_refused_by_the_api_server(world: World) -> None:
    world.apply(BACKEND)
    with pytest.raises(KubectlError, match="storage is immutable"):
        world.kubectl("patch", "ipfsbackend", "store", "--type=merge", "-p", '{"spec":{"managed":{"storage":{"size":"2Gi"}}}}')


def test_an_orphaned_daemon_is_taken_over_with_its_volume_and_told_new_secrets(
    world: World, start: Callable[[], OperatorProcess]
) -> None:
    start()
    world.apply(BACKEND)
    world.run_pod()
    world.wait_condition("Ready", "True", "Healthy")
    before, mounted = world.get("statefulset", "store-kubo") or {}, world.mounted()
    claim, client = world.get("pvc", "data-store-kubo-0") or {}, world.get("secret", "store-kubo-client") or {}
    world.kubectl("delete", "ipfsbackend", "store", "--cascade=orphan", "--timeout=60s")
    world.apply(BACKEND)
    wait_until(lambda: world.mounted() != mounted, "it mounts secrets of the new object")
    uid = (world.get("ipfsbackend", "store") or {})["metadata"]["uid"]
    after = world.get("statefulset", "store-kubo") or {}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [owner["uid"] for owner in after["metadata"]["ownerReferences"]] == [uid]
    assert (world.get("pvc", "data-store-kubo-0") or {})["metadata"]["uid"] == claim["metadata"]["uid"]
    told = wait_until(lambda: world.get("secret", "store-kubo-client"), "the pods' Secret")
    assert told["data"] != client["data"]
    assert [owner["uid"] for owner in told["metadata"]["ownerReferences"]] == [uid]
    assert world.get("secret", mounted) is None
    for kind in ("service", "configmap", "networkpolicy"):
        child = world.get(kind, "store-kubo") or {}
        assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [uid], kind


def test_a_volume_of_a_predecessor_that_is_going_is_waited_for(world: World, start: Callable[[], OperatorProcess]) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "data-store-kubo-0", "finalizers": ["tests.pinion.dev/held"]}
    world.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec})
    world.kubectl("delete", "pvc", "data-store-kubo-0", "--wait=false")
    start()
    world.apply(BACKEND)
    wait_until(lambda: "data-store-kubo-0 is being deleted" in world.condition("Ready").get("message", ""), "it says so")
    assert world.get("statefulset", "store-kubo") is None, "it would start with the volume that goes"
    world.kubectl("patch", "pvc", "data-store-kubo-0", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    wait_until(lambda: world.get("statefulset", "store-kubo"), "the daemon is made")
