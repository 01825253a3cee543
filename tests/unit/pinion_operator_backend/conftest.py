"""Factories for IpfsBackends and what surrounds them."""

from collections.abc import Callable
from typing import Any

import pytest

from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.reconcile.backend.children import build_secrets, pending_children
from pinion_operator.reconcile.backend.observed import Check, Health, ObservedBackend
from pinion_operator.reconcile.custom_code import CustomCode
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import Object, ref_of
from pinion_operator.resources.kubo_secret import Credentials
from pinion_operator.resources.names import BACKEND_FINALIZER

FRESH = Credentials("/key/swarm/psk/1.0.0/\n/base16/\nabc\n", "operator", "client")
GOOD = Health(Check(reachable=True, healthy=True, version="0.42.0", peer_id="12D3"))
BOUND = {"metadata": {}, "status": {"phase": "Bound"}}

Make = Callable[..., ObservedBackend]


def make_backend(
    *, deleting: bool = False, finalizer: bool = True, status: Object | None = None, **spec: Any
) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "b", "namespace": "ns", "uid": "u1", "generation": 3}
    if finalizer:
        meta["finalizers"] = [BACKEND_FINALIZER]
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    obj = {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "IpfsBackend",
        "metadata": meta,
        "spec": {"type": "Kubo", "managed": {}, **spec},
    }
    return obj | ({"status": status} if status is not None else {})


def make_observed(obj: Object, **more: Any) -> ObservedBackend:
    names = frozenset(secret["metadata"]["name"] for secret in build_secrets(obj, FRESH))
    more = {"credentials": FRESH, "missing": names, "kubo_image": "kubo:1", "next_check": 15.0} | more
    more = {"custom_code": CustomCode(allow=True)} | more
    return ObservedBackend(obj=obj, backend=IpfsBackend.parse(obj), **more)


def make_settled(obj: Object, *, ready: bool = True, **more: Any) -> ObservedBackend:
    """Return the backend with all its children as wanted, and its pod ready."""
    blank = make_observed(obj)
    assert blank.backend is not None
    wanted = pending_children(blank, blank.backend)
    children = {ref_of(child): dict(child) for child in wanted.apply}
    for child in children.values():
        uid = {"uid": "u-workload"} if child["kind"] == "StatefulSet" else {}
        child["metadata"] = {**child["metadata"], **uid, "generation": 1}
        if child["kind"] == "StatefulSet":
            count = 1 if ready else 0
            child["status"] = {"observedGeneration": 1, "replicas": 1, "readyReplicas": count, "updatedReplicas": 1}
    return make_observed(
        obj, **({"children": children, "health": GOOD if ready else None, "claim": BOUND, "missing": frozenset()} | more)
    )


def as_server(obj: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the object after a plan's status was written."""
    assert plan.status is not None
    times = [{**one, "lastTransitionTime": "2026-01-01T00:00:00Z"} for one in plan.status["conditions"]]
    return {**obj, "status": {**plan.status, "conditions": times}}


@pytest.fixture
def backends() -> Any:
    """The factories, for test files: with importlib import mode they cannot import this file."""

    class Factories:
        fresh, good = FRESH, GOOD
        make = staticmethod(make_backend)
        observed = staticmethod(make_observed)
        settled = staticmethod(make_settled)
        as_server = staticmethod(as_server)

    return Factories
