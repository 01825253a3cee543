"""Which refusals mean that the operator lacks a right, and what an object says then."""

import pytest

from pinion_operator.cluster.errors import ConflictError, ForbiddenError
from pinion_operator.controller.missing_rights import MissingRights, explain
from pinion_operator.reconcile.forbidden import forbidden_status
from pinion_operator.resources.kinds import IPFSBACKEND, MODELDEPLOYMENT, Kind, Object, Ref

ONE = Ref(IPFSBACKEND, "ml", "one")
USER = 'User "system:serviceaccount:p:p-operator"'
CREATE = (
    f'POST /api/v1: 403 secrets is forbidden: {USER} cannot create resource "secrets" in API group "" in the namespace "ml"'
)


def forbidden(text: str, status: int = 403) -> ForbiddenError:
    return ForbiddenError(text, status=status)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CREATE, "the operator may not create secrets in namespace ml (403)"),
        (
            f'deployments.apps "m" is forbidden: {USER} cannot patch resource "deployments" in API group "apps" in the'
            ' namespace "ml": RBAC: role.rbac.authorization.k8s.io "x" not found',
            "the operator may not patch deployments.apps in namespace ml (403)",
        ),
        (
            f'modeldeployments.pinion.dev is forbidden: {USER} cannot list resource "modeldeployments" in API group'
            ' "pinion.dev" at the cluster scope',
            "the operator may not list modeldeployments.pinion.dev (403)",
        ),
        (
            'services "m" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can\'t set'
            " finalizers on: , <nil>",
            "the operator may not own children, for want of update on finalizers",
        ),
    ],
)
def test_the_words_of_authorization_become_ours(text: str, told: str) -> None:
    assert explain(forbidden(text)).startswith(told)
    assert "installing the chart of its version again" in explain(forbidden(text))


@pytest.mark.parametrize(
    "error",
    [
        forbidden(
            'pods "m" is forbidden: exceeded quota: q, requested: count/pods=1, used: count/pods=3, limited: count/pods=3'
        ),
        forbidden('pods "m" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        forbidden('admission webhook "policy.test" denied the request: no'),
        forbidden('configmaps "m" is forbidden: unable to create new content in namespace ml because it is being terminated'),
        forbidden("Unauthorized", status=401),
        ConflictError(CREATE, status=409),
        TimeoutError(CREATE),
    ],
    ids=str,
)
def test_a_quota_a_policy_and_everything_else_is_no_missing_right(error: Exception) -> None:
    assert explain(error) == ""


def test_only_what_lasts_is_told_and_one_pass_that_gets_through_ends_it() -> None:
    clock = [0.0]
    rights = MissingRights(20, lambda: clock[0])
    assert not rights.note(ONE, forbidden(CREATE)), "a server that has just come up says so too"
    clock[0] = 19.9
    assert not rights.note(ONE, forbidden(CREATE))
    assert rights.of(ONE) == ""
    clock[0] = 20
    assert rights.note(ONE, forbidden(CREATE))
    assert rights.of(ONE).startswith("the operator may not create secrets")
    assert not rights.note(ONE, TimeoutError()), "nothing about rights: what is known stands"
    assert rights.of(ONE)
    assert rights.counts() == {"IpfsBackend": 1}
    rights.forget(ONE)
    assert (rights.of(ONE), rights.counts()) == ("", {})


def make(kind: Kind, **status: object) -> Object:
    return {"kind": kind.name, "metadata": {"namespace": "ml", "name": "one", "generation": 3}, "status": status}


def conditions(status: Object) -> dict[str, str]:
    return {one["type"]: f"{one['status']}/{one['reason']}" for one in status["conditions"]}


@pytest.mark.parametrize(("available", "phase"), [("True", "Degraded"), ("False", "Failed")])
def test_an_object_says_what_is_missing_and_keeps_what_was_known(available: str, phase: str) -> None:
    known = [
        {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "Reconciling", "status": "True", "reason": "Progressing"},
        {"type": "Available", "status": available, "reason": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]
    model = {"cid": "bafy"}
    found = forbidden_status(make(MODELDEPLOYMENT, conditions=known, model=model, phase="Ready", message="serves"), "may not")
    assert conditions(found) == {
        "Ready": "Unknown/OperatorForbidden",
        "Stalled": "True/OperatorForbidden",
        "Available": f"{available}/x",
    }
    assert (found["observedGeneration"], found["phase"], found["message"], found["model"]) == (3, phase, "may not", model)


def test_a_backend_has_neither_phase_nor_message() -> None:
    found = forbidden_status(make(IPFSBACKEND, boundModels=2), "may not")
    assert set(found) == {"boundModels", "observedGeneration", "conditions"}
    assert conditions(found) == {"Ready": "Unknown/OperatorForbidden", "Stalled": "True/OperatorForbidden"}
