"""What ModelDeployments want of a backend."""

import json
from typing import Any

import pytest

from pinion_operator.reconcile.backend.users import Rendered, has_answered, rendered_with, to_user, users_of, wanted_cids

READY = {"type": "Ready", "status": "True"}


def make_deployment(name: str = "m", *, refs: list[str] | None = None, deleting: bool = False, **status: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "uid": f"u-{name}", "generation": 2}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    storage = {} if refs is None else {"backendRefs": [{"name": ref} for ref in refs]}
    return {"metadata": meta, "spec": {"storage": storage}, "status": status}


@pytest.mark.parametrize(
    ("deployment", "uses"),
    [
        (make_deployment(refs=["b"]), True),
        (make_deployment(refs=["a", "b"]), True),
        (make_deployment(refs=["a"]), False),
        (make_deployment(refs=[]), True),
        (make_deployment(), True),
        (make_deployment(refs=["b"], deleting=True), False),
    ],
)
def test_users(deployment: dict[str, Any], uses: bool) -> None:
    assert bool(users_of("b", [deployment], Rendered())) is uses


def test_users_are_sorted() -> None:
    assert [user.name for user in users_of("b", [make_deployment("z"), make_deployment("a")], Rendered())] == ["a", "z"]


def test_wanted_are_the_cids_of_model_and_manifest_of_every_kept_revision() -> None:
    status = {
        "model": {"cid": "c1", "manifestCID": "m1", "commit": "x"},
        "revisions": [{"cid": "c1", "manifestCID": "m1"}, {"cid": "c0", "manifestCID": "m0"}, {"name": "r0"}],
    }
    assert to_user(make_deployment(**status)).wanted == {"c0", "c1", "m0", "m1"}
    both = [make_deployment("x", model={"cid": "c9"}), make_deployment("y", **status)]
    assert wanted_cids(users_of("b", both, Rendered())) >= {"c9", "m0"}
    assert wanted_cids(()) == frozenset()


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        ({}, False),
        ({"observedGeneration": -1}, False),
        ({"observedGeneration": 2, "conditions": [READY]}, True),
        ({"observedGeneration": 1, "conditions": [READY]}, False),
        ({"observedGeneration": 2, "conditions": [READY, {"type": "Reconciling", "status": "True"}]}, False),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "False"}]}, False),
        ({"observedGeneration": 2, "conditions": [{"type": "Stalled", "status": "True"}]}, True),
    ],
)
def test_settled(status: dict[str, Any], settled: bool) -> None:
    assert to_user(make_deployment(**status)).settled is settled


def make_revision(number: int, *backends: str, deployment: str = "m", uid: str = "u-m") -> dict[str, Any]:
    labels = {"pinion.dev/deployment": deployment, "pinion.dev/revision": f"r{number}"}
    config = json.dumps({"backends": [{"name": name} for name in backends]})
    return {"metadata": {"labels": labels, "ownerReferences": [{"uid": uid}]}, "revision": number, "data": {"config": config}}


def make_pod(number: int, deployment: str = "m") -> dict[str, Any]:
    return {"metadata": {"labels": {"pinion.dev/deployment": deployment, "pinion.dev/revision": f"r{number}"}}}


NONE, OTHER, B = None, ["a"], ["b"]
BLOCKS: dict[str, tuple[list[str] | None, list[Any], list[Any], bool | None]] = {
    "named, and never rendered": (B, [], [], True),
    "none named, and never rendered": (NONE, [], [], False),
    "none named, rendered with others": (NONE, [make_revision(1, "a")], [make_pod(1)], False),
    "none named, rendered with it": (NONE, [make_revision(1, "a", "b")], [], True),
    "none named, rendered with it before": (NONE, [make_revision(1, "b"), make_revision(2, "a")], [make_pod(2)], False),
    "none named, and a pod from before runs": (NONE, [make_revision(1, "b"), make_revision(2, "a")], [make_pod(1)], True),
    "another named": (OTHER, [make_revision(1, "b"), make_revision(2, "a")], [make_pod(2)], None),
    "another named, and a pod from before runs": (OTHER, [make_revision(1, "b"), make_revision(2, "a")], [make_pod(1)], True),
    "a namesake's, who has gone": (NONE, [make_revision(1, "b", uid="u-before")], [], False),
    "somebody else's": (NONE, [make_revision(1, "b", deployment="n", uid="u-n")], [make_pod(1, "n")], False),
    "what cannot be read": (NONE, [{**make_revision(1), "data": {"config": "{"}}], [make_pod(1)], False),
    "of a StatefulSet": (NONE, [{"metadata": {"labels": {}}, "revision": 1, "data": {"spec": {}}}], [], False),
}


@pytest.mark.parametrize(("refs", "revisions", "pods", "blocks"), BLOCKS.values(), ids=BLOCKS.keys())
def test_who_keeps_a_backend_from_going(
    refs: list[str] | None, revisions: list[Any], pods: list[Any], blocks: bool | None
) -> None:
    users = users_of("b", [make_deployment(refs=refs)], rendered_with("b", revisions, pods))
    assert [user.blocks for user in users] == ([] if blocks is None else [blocks])


@pytest.mark.parametrize(
    ("backend", "answered"),
    [
        ({"spec": {"type": "Kubo", "managed": {"replicas": 1}}}, False),
        ({"spec": {"type": "Kubo", "managed": {"replicas": 1}}, "status": {"version": "0.42.0"}}, True),
        ({"spec": {"type": "Kubo", "external": {}}, "status": {}}, True),
        ({"spec": {"type": "HuggingFaceCache", "cache": {}}}, True),
    ],
    ids=["ours, never up", "ours, up once", "somebody else's", "a volume"],
)
def test_what_may_hold_anything(backend: dict[str, Any], answered: bool) -> None:
    assert has_answered(backend) is answered
