"""What ModelDeployments want of a backend."""

from typing import Any

import pytest

from pinion_operator.reconcile.backend.users import to_user, users_of, wanted_cids

READY = {"type": "Ready", "status": "True"}


def make_deployment(name: str = "m", *, refs: list[str] | None = None, deleting: bool = False, **status: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "generation": 2}
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
    assert bool(users_of("b", [deployment])) is uses


def test_users_are_sorted() -> None:
    assert [user.name for user in users_of("b", [make_deployment("z"), make_deployment("a")])] == ["a", "z"]


def test_wanted_are_the_cids_of_model_and_manifest_of_every_kept_revision() -> None:
    status = {
        "model": {"cid": "c1", "manifestCID": "m1", "commit": "x"},
        "revisions": [{"cid": "c1", "manifestCID": "m1"}, {"cid": "c0", "manifestCID": "m0"}, {"name": "r0"}],
    }
    assert to_user(make_deployment(**status)).wanted == {"c0", "c1", "m0", "m1"}
    assert wanted_cids(users_of("b", [make_deployment("x", model={"cid": "c9"}), make_deployment("y", **status)])) >= {
        "c9",
        "m0",
    }
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
