"""Children of an IpfsBackend that the API server refuses, or that admission makes something else of."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from pinion_operator.controller.answers import Answers, Heard
from pinion_operator.reconcile.backend.children import pending_children
from pinion_operator.reconcile.backend.decide import decide
from pinion_operator.reconcile.backend.observed import ObservedBackend
from pinion_operator.reconcile.plan import Plan
from pinion_operator.reconcile.refusal import Refusal
from pinion_operator.reconcile.unchangeable import with_unchangeable
from pinion_operator.resources.kinds import CONFIGMAP, IPFSBACKEND, STATEFULSET, Object, Ref, ref_of
from pinion_operator.resources.names import DIGEST_ANNOTATION

OWNER = Ref(IPFSBACKEND, "ns", "b")
WORKLOAD = Ref(STATEFULSET, "ns", "b-kubo")
WHY = "409 admission webhook denied the request"


def said(plan: Plan) -> dict[str, tuple[str, str]]:
    assert plan.status is not None
    return {one["type"]: (one["status"], one["reason"]) for one in plan.status["conditions"]}


def message(plan: Plan, type_: str = "Ready") -> str:
    assert plan.status is not None
    return next(str(one["message"]) for one in plan.status["conditions"] if one["type"] == type_)


def wanted(seen: ObservedBackend, ref: Ref) -> Object:
    """Return a child as it would be applied were nothing there."""
    assert seen.backend is not None
    return next(child for child in pending_children(replace(seen, children={}), seen.backend).apply if ref_of(child) == ref)


def mutate(seen: ObservedBackend, ref: Ref, **spec: Any) -> tuple[ObservedBackend, Heard]:
    """Let admission answer so when the child was applied."""
    child: dict[str, Any] = copy.deepcopy(dict(seen.children[ref]))
    child["spec"]["template"]["spec"]["containers"][0] |= spec
    answers = Answers()
    heard = answers.note(OWNER, seen.obj, wanted(seen, ref), child)
    return replace(seen, children={**seen.children, ref: child}, answers=answers.of(OWNER)), heard


def test_a_mirrored_image_is_ready_told_and_left_alone_by_the_next_process_too(backends: Any) -> None:
    obj = backends.make()
    seen, _ = mutate(backends.settled(obj), WORKLOAD, image="mirror.test/kubo:1", imagePullPolicy="Always")
    plan = decide(seen)
    assert said(plan)["Ready"] == ("True", "Healthy")
    assert message(plan) == (
        "add, cat and compare succeed; admission changed StatefulSet b-kubo: "
        'spec.template.spec.containers[kubo].image is "mirror.test/kubo:1" instead of "kubo:1", '
        'spec.template.spec.containers[kubo].imagePullPolicy is "Always" instead of "IfNotPresent"'
    )
    assert plan.apply == ()
    told = backends.as_server(obj, plan)
    restarted = backends.settled(told, children=seen.children)
    assert decide(restarted) == Plan(after=15.0)


def test_somebodys_edit_is_put_right(backends: Any) -> None:
    seen, _ = mutate(backends.settled(backends.make()), WORKLOAD, image="mirror.test/kubo:1")
    edited: dict[str, Any] = copy.deepcopy(dict(seen.children[WORKLOAD]))
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = "somebody:2"
    plan = decide(replace(seen, children={**seen.children, WORKLOAD: edited}))
    assert [ref_of(child) for child in plan.apply] == [WORKLOAD]


@pytest.mark.parametrize(
    "spec", [{"command": ["sh"]}, {"env": []}, {"volumeMounts": []}], ids=["command", "the private swarm", "where data is"]
)
def test_what_the_daemon_rests_on_is_vital(backends: Any, spec: dict[str, Any]) -> None:
    seen, heard = mutate(backends.settled(backends.make()), WORKLOAD, **spec)
    assert heard.vital
    assert seen.answers == {}
    assert [ref_of(child) for child in decide(seen).apply] == [WORKLOAD], "it is not taken for what was wanted"


@pytest.mark.parametrize("ref", [WORKLOAD, Ref(CONFIGMAP, "ns", "b-kubo")], ids=["the StatefulSet", "another child"])
def test_a_refused_child_is_stalled_and_tried_again_now_and_then(backends: Any, ref: Ref) -> None:
    seen = backends.observed(backends.make())
    digest = wanted(seen, ref)["metadata"]["annotations"][DIGEST_ANNOTATION]
    seen = replace(seen, refused={ref: Refusal(digest, WHY)})
    plan = decide(seen)
    assert (said(plan)["Ready"], said(plan)["Stalled"]) == (("False", "Failed"), ("True", "InvalidSpec"))
    assert message(plan, "Stalled") == f"the API server refuses {ref.kind.name} b-kubo: {WHY}"
    assert ref not in [ref_of(child) for child in plan.apply]
    again = decide(replace(seen, refused={ref: Refusal(digest, WHY, again=True)}))
    assert ref in [ref_of(child) for child in again.apply]
    another = decide(replace(seen, refused={ref: Refusal("0" * 16, WHY)}))
    assert "Stalled" not in said(another), "another form of it may be accepted"


def test_what_nobody_can_change_is_sent_as_it_is(backends: Any) -> None:
    seen = backends.settled(backends.make())
    child = wanted(seen, WORKLOAD)
    have: dict[str, Any] = copy.deepcopy(dict(seen.children[WORKLOAD]))
    have["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "of-a-webhook"
    have["spec"]["replicas"] = 9
    sent = with_unchangeable(child, have)
    assert sent["spec"]["volumeClaimTemplates"] == have["spec"]["volumeClaimTemplates"]
    assert sent["spec"]["replicas"] == 1
    assert with_unchangeable(child, None) == child
    other = wanted(seen, Ref(CONFIGMAP, "ns", "b-kubo"))
    assert with_unchangeable(other, {**other, "data": {}}) == other
