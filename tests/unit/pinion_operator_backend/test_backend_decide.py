"""What is decided for an IpfsBackend."""

from dataclasses import replace
from typing import Any

import pytest

from pinion_operator.reconcile.backend.decide import decide
from pinion_operator.reconcile.backend.observed import GRACE_SECONDS, Check, Health
from pinion_operator.reconcile.backend.users import User
from pinion_operator.reconcile.custom_code import CustomCode
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import CONFIGMAP, SECRET, SERVICE, STATEFULSET, Ref
from pinion_operator.resources.kubo_secret import kubo_secret_name
from pinion_operator.resources.kubo_statefulset import mounted_secret
from pinion_operator.resources.names import BACKEND_FINALIZER

DOWN = Check(reachable=False, healthy=False, problem="no answer within 5 s")
WRONG = Check(reachable=True, healthy=False, problem="wrote a, read b", version="0.42.0")
USER = User("m", frozenset({"wanted"}), settled=True)


def conditions(plan: Plan) -> dict[str, tuple[str, str]]:
    assert plan.status is not None
    return {one["type"]: (one["status"], one["reason"]) for one in plan.status["conditions"]}


def names(children: Any) -> list[str]:
    return [f"{child['kind']}/{child['metadata']['name']}" for child in children]


def test_a_new_backend_gets_everything_in_one_pass(backends: Any) -> None:
    plan = decide(backends.observed(backends.make(finalizer=False)))
    assert plan.finalizers == (BACKEND_FINALIZER,)
    assert names(plan.create) == [f"Secret/{kubo_secret_name('b', backends.fresh)}", "Secret/b-kubo-client"]
    assert names(plan.apply) == ["ConfigMap/b-kubo", "Service/b-kubo", "NetworkPolicy/b-kubo", "StatefulSet/b-kubo"]
    assert plan.status is not None
    assert plan.status["observedGeneration"] == 3
    assert conditions(plan) == {
        "Ready": ("False", "Progressing"),
        "Reconciling": ("True", "Progressing"),
        "Reachable": ("Unknown", "NotProbed"),
        "RoundTripHealthy": ("Unknown", "NotProbed"),
    }


def test_healthy_is_ready_and_then_nothing_is_left_to_do(backends: Any) -> None:
    obj = backends.make()
    plan = decide(backends.settled(obj, users=(USER,)))
    assert conditions(plan) == {
        "Ready": ("True", "Healthy"),
        "Reachable": ("True", "Answering"),
        "RoundTripHealthy": ("True", "RoundTripSucceeded"),
    }
    assert plan.status is not None
    assert (plan.status["version"], plan.status["peerID"], plan.status["boundModels"]) == ("0.42.0", "12D3", 1)
    at_rest = decide(backends.settled(backends.as_server(obj, plan), users=(USER,)))
    assert at_rest == Plan(after=15.0)


def test_waits_for_the_pod_and_says_what_is_wrong_with_it(backends: Any) -> None:
    waiting = {"name": "kubo", "image": "kubo:9", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    pod = {"metadata": {"name": "b-kubo-0"}, "status": {"containerStatuses": [waiting]}}
    plan = decide(backends.settled(backends.make(), ready=False, pods=(pod,)))
    assert conditions(plan)["Reconciling"] == ("True", "Starting")
    assert plan.status is not None
    assert plan.status["conditions"][0]["message"] == "pod b-kubo-0, container kubo: the image kubo:9 cannot be pulled"


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}
FAILED = {"terminated": {"exitCode": 2}}
LOCKED = {"terminated": {"exitCode": 1, "message": "starting\nError: lock /data/ipfs/repo.lock: someone else has the lock\n"}}
NO_SHELL = {"waiting": {"reason": "RunContainerError", "message": 'exec: "/bin/sh": stat /bin/sh: no such file or directory'}}
KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
TROUBLES = [
    ({"conditions": [UNSCHEDULED]}, "not scheduled: 0/1 nodes"),
    ({"initContainerStatuses": [{"name": "configure", "state": FAILED}]}, "configure: ended with exit code 2"),
    (
        {"initContainerStatuses": [{"name": "configure", "image": "kubo:9", "state": NO_SHELL}]},
        "configure: cannot be started: the image kubo:9 has no program /bin/sh",
    ),
    (
        {"containerStatuses": [{"name": "kubo", "lastState": LOCKED}]},
        "exit code 1: lock /data/ipfs/repo.lock: someone else has",
    ),
    ({"containerStatuses": [{"name": "kubo", "lastState": KILLED}]}, "killed for memory"),
    ({"containerStatuses": [{"name": "kubo", "ready": True, "lastState": FAILED}]}, "waiting for its pod"),
    ({"containerStatuses": [{"name": "kubo", "state": {"running": {}}}]}, "waiting for its pod"),
    ({}, "waiting for its pod"),
]


@pytest.mark.parametrize(("status", "message"), TROUBLES)
def test_troubles_of_the_pod(backends: Any, status: Any, message: str) -> None:
    pod = {"metadata": {"name": "b-kubo-0"}, "status": status}
    plan = decide(backends.settled(backends.make(), ready=False, pods=(pod,)))
    assert plan.status is not None
    assert message in plan.status["conditions"][0]["message"]


PENDING = {"metadata": {"uid": "u-claim"}, "spec": {"storageClassName": "nosuch"}, "status": {"phase": "Pending"}}
CLAIMS: list[tuple[Any, str, str]] = [
    (None, "", "its claim data-b-kubo-0 is not there"),
    (None, "FailedCreate: exceeded quota: q", "its claim data-b-kubo-0 is not there (FailedCreate: exceeded quota: q)"),
    (PENDING, "", "waits for a volume of StorageClass nosuch"),
    (PENDING, "ProvisioningFailed: not found", "a volume of StorageClass nosuch (ProvisioningFailed: not found)"),
    ({"metadata": {}, "spec": {}}, "", "waits for a volume of a StorageClass: it names none, and there is no default"),
]


@pytest.mark.parametrize(("claim", "warning", "message"), CLAIMS)
def test_a_volume_that_does_not_come_is_named(backends: Any, claim: Any, warning: str, message: str) -> None:
    pod = {"metadata": {"name": "b-kubo-0"}, "status": {"conditions": [UNSCHEDULED]}}
    seen = backends.settled(backends.make(), ready=False, pods=(pod,), claim=claim)
    reason, _, note = warning.partition(": ")
    told = {"u-claim" if claim else "u-workload": ({"reason": reason, "note": note},)} if warning else {}
    plan = decide(replace(seen, warnings=told))
    assert plan.status is not None
    assert plan.status["conditions"][0]["message"].startswith("pod b-kubo-0 is not scheduled: 0/1 nodes; its claim")
    assert plan.status["conditions"][0]["message"].endswith(message)


def test_an_emptydir_has_no_claim(backends: Any) -> None:
    obj = backends.make(managed={"storage": {"type": "EmptyDir"}})
    plan = decide(backends.settled(obj, ready=False, claim=None))
    assert plan.status is not None
    assert plan.status["conditions"][0]["message"] == "waiting for its pod"


@pytest.mark.parametrize("check", [DOWN, WRONG])
def test_fewer_failures_than_the_threshold_change_nothing(backends: Any, check: Check) -> None:
    obj = backends.make()
    healthy = backends.as_server(obj, decide(backends.settled(obj)))
    assert decide(backends.settled(healthy, health=Health(check, 2))) == Plan(after=15.0)


@pytest.mark.parametrize(("check", "reachable"), [(DOWN, ("False", "Unreachable")), (WRONG, ("True", "Answering"))])
def test_as_many_failures_as_the_threshold_are_a_failure(backends: Any, check: Check, reachable: tuple[str, str]) -> None:
    obj = backends.make()
    healthy = backends.as_server(obj, decide(backends.settled(obj)))
    plan = decide(backends.settled(healthy, health=Health(check, 3)))
    assert conditions(plan) == {
        "Ready": ("False", "Failed"),
        "Reconciling": ("True", "ProgressingWithRetry"),
        "Reachable": reachable,
        "RoundTripHealthy": ("False", "RoundTripFailed"),
    }
    assert plan.status is not None
    assert plan.status["version"] == "0.42.0", "what it said last stays"
    failed = backends.as_server(obj, plan)
    assert decide(backends.settled(failed, health=Health(check, 4))) == Plan(after=15.0)
    # An operator that starts anew counts from one: what failed stays failed until it works.
    assert decide(backends.settled(failed, health=Health(check, 1))) == Plan(after=15.0)
    assert conditions(decide(backends.settled(failed)))["Ready"] == ("True", "Healthy")


UNASKED = Check(reachable=False, healthy=False, problem="the token is not sent there", asked=False)


def test_what_is_not_asked_is_neither_ready_nor_not(backends: Any) -> None:
    external = {"type": "Kubo", "external": {"apiURL": "http://kubo:5001", "gatewayURLs": ["http://kubo:8080"]}}
    obj = {**backends.make(), "spec": external}
    healthy = backends.as_server(obj, decide(backends.observed(obj, health=Health(Check(reachable=True, healthy=True)))))
    assert decide(backends.observed(healthy, health=Health(UNASKED, 2))) == Plan(after=15.0), "a name may not resolve for once"
    plan = decide(backends.observed(healthy, health=Health(UNASKED, 3)))
    assert conditions(plan) == dict.fromkeys(("Ready", "Reachable", "RoundTripHealthy"), ("Unknown", "NotAsked"))
    assert plan.status is not None
    assert {one["message"] for one in plan.status["conditions"]} == {"the token is not sent there"}
    unasked = backends.as_server(obj, plan)
    assert decide(backends.observed(unasked, health=Health(UNASKED, 9))) == Plan(after=15.0), "at rest"
    back = decide(backends.observed(unasked, health=Health(Check(reachable=True, healthy=True))))
    assert conditions(back)["Ready"] == ("True", "Healthy")


def test_never_ready_before_a_check_succeeded(backends: Any) -> None:
    plan = decide(backends.settled(backends.make(), health=Health(DOWN, 1)))
    assert conditions(plan)["Ready"] == ("False", "Progressing")
    assert conditions(plan)["RoundTripHealthy"] == ("Unknown", "NotProbed")


def test_a_statefulset_that_rolls_is_not_ready(backends: Any) -> None:
    settled = backends.settled(backends.make())
    ref = Ref(STATEFULSET, "ns", "b-kubo")
    rolling = {**settled.children[ref], "status": {**settled.children[ref]["status"], "updatedReplicas": 0}}
    plan = decide(replace(settled, children={**settled.children, ref: rolling}))
    assert conditions(plan)["Ready"] == ("False", "Progressing")


def test_a_changed_spec_is_applied_and_said_at_once(backends: Any) -> None:
    settled = backends.settled(backends.make())
    changed = backends.make(managed={"image": "kubo:2"})
    plan = decide(backends.settled(changed, children=settled.children))
    assert names(plan.apply) == ["StatefulSet/b-kubo"]
    assert conditions(plan)["Ready"] == ("False", "Progressing")
    assert conditions(plan)["Reconciling"] == ("True", "Progressing")


@pytest.mark.parametrize("kind", [CONFIGMAP, SERVICE, STATEFULSET])
def test_a_lost_child_comes_back(backends: Any, kind: Any) -> None:
    settled = backends.settled(backends.make())
    children = {ref: child for ref, child in settled.children.items() if ref.kind != kind}
    assert names(decide(replace(settled, children=children)).apply) == [f"{kind.name}/b-kubo"]


def test_lost_secrets_come_back_with_the_same_content(backends: Any) -> None:
    obj = backends.make()
    both = decide(backends.observed(obj)).create
    for secret in both:
        plan = decide(backends.settled(obj, missing=frozenset({secret["metadata"]["name"]})))
        assert plan.create == (secret,)
        assert plan.apply == ()


def test_another_key_of_the_operator_replaces_secrets_before_the_daemon_is_told(backends: Any) -> None:
    settled = backends.settled(backends.make())
    other = replace(backends.fresh, operator_token="other", client_token="another")
    old, clients = (Ref(SECRET, "ns", name) for name in (kubo_secret_name("b", backends.fresh), "b-kubo-client"))
    first = decide(replace(settled, credentials=other, missing=frozenset({kubo_secret_name("b", other)})))
    assert (first.create, first.apply, first.delete) == ((), (), (old, clients))
    gone = frozenset({kubo_secret_name("b", other), "b-kubo-client"})
    second = decide(replace(settled, credentials=other, missing=gone))
    assert [secret["metadata"]["name"] for secret in second.create] == [kubo_secret_name("b", other), "b-kubo-client"]
    assert (names(second.apply), second.delete) == (["StatefulSet/b-kubo"], ())
    assert mounted_secret(second.apply[0]) == kubo_secret_name("b", other)


def test_a_name_taken_by_a_stranger_stalls_and_nothing_is_written(backends: Any) -> None:
    plan = decide(backends.observed(backends.make(), taken=frozenset({Ref(SERVICE, "ns", "b-kubo")})))
    assert (plan.create, plan.apply) == ((), ())
    assert conditions(plan)["Stalled"] == ("True", "NameTaken")
    assert "Reconciling" not in conditions(plan)
    assert plan.status is not None
    assert "Service b-kubo" in plan.status["conditions"][0]["message"]
    assert plan.after == 15.0


def test_an_unreadable_object_stalls(backends: Any) -> None:
    seen = replace(backends.observed(backends.make()), backend=None, problem="spec.type: bad")
    plan = decide(seen)
    assert conditions(plan) == {"Ready": ("False", "Failed"), "Stalled": ("True", "InvalidSpec")}
    going = replace(backends.observed(backends.make(deleting=True)), backend=None, problem="spec.type: bad")
    assert decide(going) == Plan(finalizers=())


class TestDeletion:
    def test_without_users_the_finalizer_goes_and_nothing_else_happens(self, backends: Any) -> None:
        obj = backends.make(deleting=True)
        obj["metadata"]["finalizers"].insert(0, "other/one")
        assert decide(backends.observed(obj)) == Plan(finalizers=("other/one",))

    def test_with_users_it_waits_and_names_them(self, backends: Any) -> None:
        users = tuple(User(f"m{number}", frozenset(), settled=True) for number in range(12))
        plan = decide(backends.settled(backends.make(deleting=True), users=users))
        assert plan.finalizers is None
        assert conditions(plan)["DeletionBlocked"] == ("True", "InUse")
        assert conditions(plan)["Ready"] == ("True", "Healthy")
        assert plan.status is not None
        message = plan.status["conditions"][-1]["message"]
        assert message.startswith("used by ModelDeployment m0, m1, m2, m3, m4, m5, m6, m7, m8, m9 and 2 more")

    def test_gets_no_children_again(self, backends: Any) -> None:
        plan = decide(backends.observed(backends.make(deleting=True), users=(USER,)))
        assert (plan.create, plan.apply) == ((), ())


class TestPins:
    def test_what_nobody_has_wanted_for_the_grace_period_goes(self, backends: Any) -> None:
        unwanted = {"old": GRACE_SECONDS, "older": 1e6, "new": GRACE_SECONDS - 1}
        assert decide(backends.settled(backends.make(), users=(USER,), unwanted=unwanted)).unpin == ("old", "older")

    def test_nothing_goes_while_a_user_is_on_its_way(self, backends: Any) -> None:
        users = (USER, User("n", frozenset(), settled=False))
        assert decide(backends.settled(backends.make(), users=users, unwanted={"old": 1e6})).unpin == ()

    def test_without_users_everything_goes(self, backends: Any) -> None:
        assert decide(backends.settled(backends.make(), unwanted={"old": 1e6})).unpin == ("old",)

    @pytest.mark.parametrize("health", [None, Health(DOWN, 1)])
    def test_nothing_goes_when_the_daemon_does_not_answer(self, backends: Any, health: Health | None) -> None:
        seen = backends.settled(backends.make(), health=health, unwanted={"old": 1e6})
        assert decide(seen).unpin == ()


def test_who_was_never_rendered_with_it_keeps_nobody_from_deleting_it(backends: Any) -> None:
    """A model that names no backend uses all of its namespace, and its pods may know nothing of this one."""
    obj = backends.make(deleting=True)
    bystander = replace(USER, blocks=False)
    assert decide(backends.settled(obj, ready=False, users=(bystander,))).finalizers == ()
    plan = decide(backends.settled(obj, users=(bystander, replace(USER, name="n"))))
    assert plan.finalizers is None
    assert conditions(plan)["DeletionBlocked"] == ("True", "InUse")
    assert plan.status is not None
    message = next(one["message"] for one in plan.status["conditions"] if one["type"] == "DeletionBlocked")
    assert message.startswith("used by ModelDeployment n:")


class TestCustomImages:
    """The daemon holds the swarm's key and the tokens of all pods."""

    def test_another_image_is_refused_and_nothing_is_made(self, backends: Any) -> None:
        plan = decide(backends.observed(backends.make(managed={"image": "evil.example/kubo"}), custom_code=CustomCode()))
        assert (plan.create, plan.apply, plan.delete) == ((), (), ())
        assert conditions(plan)["Stalled"] == ("True", "InvalidSpec")
        assert "Reconciling" not in conditions(plan)
        assert plan.status is not None
        message = plan.status["conditions"][0]["message"]
        assert "spec.managed.image evil.example/kubo" in message
        assert "runtime.customImages.allow" in message

    def test_one_that_runs_goes_on(self, backends: Any) -> None:
        obj = backends.make(managed={"image": "own.example/kubo"})
        first = decide(backends.settled(obj))
        seen = backends.settled(backends.as_server(obj, first), custom_code=CustomCode())
        assert decide(seen) == Plan(after=15.0)

    def test_a_change_to_another_is_refused_and_the_daemon_goes_on(self, backends: Any) -> None:
        settled = backends.settled(backends.make(managed={"image": "own.example/kubo"}))
        changed = backends.make(managed={"image": "evil.example/kubo"})
        plan = decide(backends.settled(changed, children=settled.children, custom_code=CustomCode()))
        assert (plan.create, plan.apply, plan.delete) == ((), (), ())
        assert conditions(plan)["Stalled"] == ("True", "InvalidSpec")
        assert conditions(plan)["RoundTripHealthy"] == ("True", "RoundTripSucceeded")

    @pytest.mark.parametrize("allowed", [CustomCode(allow=True), CustomCode(prefixes=("own.example",))])
    def test_where_it_is_allowed_it_runs(self, backends: Any, allowed: CustomCode) -> None:
        plan = decide(backends.observed(backends.make(managed={"image": "own.example/kubo"}), custom_code=allowed))
        assert "StatefulSet/b-kubo" in names(plan.apply)

    def test_it_can_be_deleted(self, backends: Any) -> None:
        obj = backends.make(deleting=True, managed={"image": "evil.example/kubo"})
        assert decide(backends.observed(obj, custom_code=CustomCode())) == Plan(finalizers=())
