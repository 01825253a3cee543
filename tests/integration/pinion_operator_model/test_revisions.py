"""Revisions against a real API server and its Deployment controller: what moves, what rolls, and what stays as it is."""

import json

import pytest

from devcluster.control import ControlPlane
from pinion_contract.status import Failure, FailureReason, Phase, PodStatus, Warm
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.told_pods import ToldPod, ToldPods, cid_of, in_phase, serving, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

ANOTHER, THIRD = "2" * 40, "3" * 40


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


def ready(models: Models, name: str = "m") -> dict[str, object]:
    models.wait_for(name, timeout=150, Ready="True/Serving")
    assert "Reconciling" not in models.conditions(name)
    return models.status(name)["model"]


def annotate(models: Models, wish: str, value: str, name: str = "m") -> None:
    models.kubectl("annotate", "--overwrite", f"mdep/{name}", f"pinion.dev/{wish}={value}")


def pods_of(models: Models, name: str = "m") -> set[str]:
    return {child for kind, child in models.children(name) if kind == "Pod"}


def loading_until_known(pod: ToldPod) -> PodStatus:
    """Return what a pod says that loads until its CID is in live.json: before it is Ready nobody makes the next one."""
    return serving(pod) if pod.live.cid else serving(pod, phase=Phase.LOADING, warm=Warm())


def test_a_tracked_branch_rolls_new_bytes_and_nothing_else(models: Models, hub: Hub, repo: str, told_pods: ToldPods) -> None:
    told_pods.says = loading_until_known
    warmup = {"inputs": ["<a> & <b>\u2028ü"]}  # whatever is in it: the API server takes the revision back word for word
    models.apply("m", repo, source={"revisionPolicy": "Track"}, replicas=2, rollout={"maxSurge": 2}, warmup=warmup)
    first = ready(models)
    pods, generation = pods_of(models), models.get("deployment", "m")["metadata"]["generation"]

    hub.configure(repo, commit=ANOTHER)  # the same bytes under a new commit
    annotate(models, "reconcile", "1")
    wait_until(lambda: models.status("m")["model"]["upstreamCommit"] == ANOTHER, "the new commit is noticed")
    models.wait_for("m", Ready="True/Serving", SourceDrifted="False/UpToDate")
    assert models.status("m")["model"]["commit"] == first["commit"]
    assert (pods_of(models), models.get("deployment", "m")["metadata"]["generation"]) == (pods, generation)

    hub.add_repo(repo, {"model.safetensors": b"other"})
    hub.configure(repo, commit=THIRD)
    annotate(models, "reconcile", "2")
    wait_until(lambda: models.status("m")["model"]["commit"] == THIRD, "the new bytes", timeout=150)
    second = ready(models)
    assert second["cid"] != first["cid"]
    new = [pod for pod in told_pods.seen if pod.config.revision == second["revision"]]
    assert [bool(pod.first_live.cid) for pod in new] == [False, True], "the second knew the CID from its start"
    assert not pods & pods_of(models)
    assert models.get("deployment", "m")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 2, "maxUnavailable": 0}

    hub.add_repo(repo, {"model.safetensors": b"first"})
    hub.configure(repo, commit=ANOTHER)
    annotate(models, "reconcile", "3")
    wait_until(lambda: models.status("m")["model"]["revision"] == first["revision"], "back to the first", timeout=150)
    assert ready(models)["cid"] == first["cid"]
    again = [pod for pod in told_pods.seen if pod.config.revision == first["revision"]][2:]
    assert [pod.first_live.cid for pod in again] == [first["cid"]] * 2, "nothing has to come from the hub"
    assert [known["name"] for known in models.status("m")["revisions"]] == [first["revision"], second["revision"]]


def test_a_rewritten_branch_is_told_and_moves_nothing(models: Models, hub: Hub, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    first, pods = ready(models), pods_of(models)
    hub.add_repo(repo, {"model.safetensors": b"other"})  # the old commit is gone from the hub
    annotate(models, "reconcile", "1")
    models.wait_for("m", Ready="True/Serving", SourceDrifted="True/UpstreamMoved")
    assert ready(models)["commit"] == first["commit"]
    assert pods_of(models) == pods

    models.kubectl("delete", "pods", "--selector=pinion.dev/deployment=m", "--wait=true")
    wait_until(lambda: told_pods.of("m") and told_pods.of("m")[0].name not in pods, "another pod")
    assert told_pods.of("m")[0].first_live.cid == first["cid"], "it need not ask the hub"

    def no_copy(pod: ToldPod) -> PodStatus:
        message = f"{repo}@{pod.config.source.commit}: no such commit"
        failure = Failure(stage=Phase.RESOLVING, reason=FailureReason.SOURCE_NOT_FOUND, message=message, retrying=False)
        return in_phase(pod, Phase.FAILED, failure=failure)

    told_pods.says = no_copy
    models.wait_for("m", Ready="False/Failed", Stalled="True/SourceNotFound", SourceResolved="False/SourceNotFound")
    assert str(first["commit"]) in models.message("m", "Stalled")
    assert models.conditions("m")["SourceDrifted"] == "True/UpstreamMoved"


def test_a_revision_that_cannot_load_is_never_called_ready(
    models: Models, operator: OperatorProcess, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo)
    first = ready(models)

    def bad(pod: ToldPod) -> PodStatus:
        if pod.config.revision == first["revision"]:
            return serving(pod)
        failure = Failure(stage=Phase.LOADING, reason=FailureReason.MODEL_LOAD_FAILED, message="cannot", retrying=False)
        return serving(pod, phase=Phase.FAILED, failure=failure)

    told_pods.says = bad
    models.apply("m", repo, runtime={"dtype": "bfloat16"})
    models.wait_for("m", timeout=150, Stalled="True/ModelLoadFailed", Available="True/MinimumReplicasAvailable")
    assert models.status("m")["serving"] == [{"cid": first["cid"], "replicas": 1}], "the old one serves on"
    writes = [(one.path, json.loads(one.body)) for one in operator.writes()]
    of_new = [at for at, (path, body) in enumerate(writes) if "status" in body and body["status"]["observedGeneration"] == 2]
    said = [next(c["status"] for c in writes[at][1]["status"]["conditions"] if c["type"] == "Ready") for at in of_new]
    assert said[0] == "Unknown"
    assert "True" not in said
    second = models.status("m")["model"]["revision"]
    rolled = [at for at, (path, body) in enumerate(writes) if "/deployments/m" in path and second in json.dumps(body)]
    assert of_new[0] < rolled[0], "the status came first"


def test_a_pod_that_crashes_takes_ready_away_with_its_name(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    ready(models)
    pod = told_pods.crash("m")
    models.wait_for("m", Ready="False/Degraded", WorkloadReady="False/CrashLoopBackOff", Available="False/NoReadyReplicas")
    assert pod.name in models.message("m", "WorkloadReady")
    assert models.status("m")["lastFailure"]["pod"] == pod.name


def test_a_change_of_a_child_alone_is_observed_under_our_own_generation(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    ready(models)
    pods = pods_of(models)
    models.apply("m", repo, rollout={"maxSurge": 3, "revisionHistoryLimit": 1})
    models.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "mdep/m")
    models.wait_for("m", Ready="True/Serving")
    obj = models.get("mdep", "m")
    assert obj["metadata"]["generation"] == 2
    assert {c["observedGeneration"] for c in obj["status"]["conditions"]} == {obj["status"]["observedGeneration"]} == {2}
    deployment = models.get("deployment", "m")
    assert (deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"], deployment["spec"]["revisionHistoryLimit"]) == (3, 1)
    assert pods_of(models) == pods


def test_an_update_asks_for_the_wanted_pods_all_the_time(
    models: Models, operator: OperatorProcess, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo, replicas=1)
    ready(models)
    models.kubectl("scale", "mdep/m", "--replicas=4")
    # Pods are counted before the rest is told: one of four serves the model, and it is Ready all the time.
    wait_until(lambda: models.status("m")["ready"] == "4/4" and "Reconciling" not in models.conditions("m"), "four pods")
    ready(models)
    begun = len(operator.writes())
    models.kubectl("patch", "mdep/m", "--type=merge", "-p", '{"spec": {"runtime": {"dtype": "bfloat16"}}}')
    wait_until(lambda: len(models.status("m")["revisions"]) == 2, "another revision")
    lowest = 4

    def rolled_out() -> bool:
        nonlocal lowest
        lowest = min(lowest, models.get("deployment", "m")["status"].get("readyReplicas", 0))
        return models.conditions("m")["Ready"] == "True/Serving"

    wait_until(rolled_out, "four new pods", timeout=150)
    bodies = [json.loads(one.body) for one in operator.writes()[begun:] if "/deployments/m" in one.path]
    assert {body["spec"]["replicas"] for body in bodies} == {4}
    assert lowest == 4, "none goes before another one serves"


def test_kubectls_own_rollout_commands_work_and_so_does_ours(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    first, pods = ready(models), pods_of(models)
    models.kubectl("rollout", "status", "deployment/m", "--timeout=60s")
    models.kubectl("rollout", "restart", "deployment/m")
    models.kubectl("rollout", "status", "deployment/m", "--timeout=60s")
    ready(models)
    assert not pods & pods_of(models), "it is not reverted"
    pods = pods_of(models)
    annotate(models, "restart", "1")
    wait_until(lambda: models.status("m")["model"]["revision"] != first["revision"], "another revision")
    assert ready(models)["cid"] == first["cid"]
    models.kubectl("rollout", "status", "deployment/m", "--timeout=60s")
    assert not pods & pods_of(models)
    annotate(models, "restart", "1")
    assert len(models.status("m")["revisions"]) == 2


def test_a_newer_operator_rolls_nothing_until_it_is_asked_to(
    models: Models, operator: OperatorProcess, operators: Operators, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo)
    ready(models)
    operator.wait_quiet()
    assert operator.stop() == 0
    newer = {"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_RUNTIME_IMAGE": "pinion.test/runtime:9"}
    second = operators.start(environment=newer)
    second.wait_leading()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total") > 0, "it has looked at the object")
    second.wait_quiet()
    assert not second.writes()
    annotate(models, "restart", "now")

    def image() -> str:
        return str(models.get("deployment", "m")["spec"]["template"]["spec"]["containers"][0]["image"])

    wait_until(lambda: image() == "pinion.test/runtime:9", "the new default")
    ready(models)


def test_a_paused_object_is_left_alone(models: Models, operator: OperatorProcess, repo: str, told_pods: ToldPods) -> None:
    models.apply("m", repo)
    ready(models)
    annotate(models, "paused", "true")
    operator.wait_quiet()
    before, passes = len(operator.writes()), operator.metric("pinion_operator_reconcile_total")
    models.kubectl("scale", "mdep/m", "--replicas=3")
    models.kubectl("delete", "service", "m")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total") > passes, "it has looked")
    operator.wait_quiet()
    assert len(operator.writes()) == before, operator.writes()[before:]
    models.kubectl("annotate", "mdep/m", "pinion.dev/paused-")
    wait_until(lambda: models.status("m")["ready"] == "3/3", "three pods")
    ready(models)
    assert ("Service", "m") in models.children("m")


def test_nothing_for_so_long_is_stalled_until_something_gets_on(models: Models, repo: str, told_pods: ToldPods) -> None:
    told_pods.says = lambda pod: in_phase(pod, Phase.FETCHING)
    models.apply("m", repo, rollout={"progressDeadlineSeconds": 2})
    models.wait_for("m", Ready="False/Failed", Stalled="True/ProgressDeadlineExceeded")
    told_pods.says = serving
    ready(models)
    assert cid_of(told_pods.of("m")[0].config.source.source_digest) == models.status("m")["model"]["cid"]


def test_a_refused_child_is_told_and_not_sent_again_and_again(
    models: Models, operator: OperatorProcess, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo, pod={"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]})
    models.wait_for("m", Ready="False/Failed", Stalled="True/InvalidSpec", WorkloadReady="False/InvalidPodOverride")
    assert "value must be empty when `operator` is 'Exists'" in models.message("m", "WorkloadReady")
    operator.wait_quiet()
    tries = [one for one in operator.proxy.settled if one.method == "PATCH" and "/deployments/m" in one.path]
    assert 1 <= len(tries) <= 5, "once, and then once a minute"
    assert {one.status for one in tries} == {422}
    models.apply("m", repo, pod={"tolerations": [{"key": "a", "operator": "Exists"}]})
    ready(models)


@pytest.mark.parametrize("cascade", ["foreground", "orphan"])
def test_an_object_in_deletion_gets_no_children_back(
    models: Models, operator: OperatorProcess, operators: Operators, hub: Hub, repo: str, told_pods: ToldPods, cascade: str
) -> None:
    models.apply("m", repo)
    ready(models)
    # Something that holds it up: the operator starts again and finds it in deletion.
    models.kubectl("patch", "mdep/m", "--type=merge", "-p", '{"metadata": {"finalizers": ["pinion.test/held"]}}')
    models.kubectl("delete", "mdep/m", f"--cascade={cascade}", "--wait=false")
    assert operator.stop() == 0
    second = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint})
    second.wait_leading()
    if cascade == "foreground":
        wait_until(lambda: not models.children("m"), "the children to go", timeout=150)
    models.kubectl("patch", "mdep/m", "--type=merge", "-p", '{"spec": {"replicas": 3}}')  # nobody is kept from editing it
    second.wait_quiet()
    assert not second.writes()
    models.kubectl("patch", "mdep/m", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    models.kubectl("wait", "--for=delete", "mdep/m", "--timeout=60s")
    if cascade == "orphan":
        left = models.children("m")
        assert {"Deployment", "Service", "ConfigMap", "ControllerRevision"} <= {kind for kind, _ in left}
        assert not any(child["metadata"].get("ownerReferences") for (kind, _), child in left.items() if kind == "Deployment")
    second.wait_quiet()
    assert not second.writes()
