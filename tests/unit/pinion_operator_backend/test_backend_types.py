"""Backends that the operator does not run: what is said of them, what pods are told, and what is never touched."""

from typing import Any

import pytest

from pinion_contract.config import CacheBackend, GatewayBackend, KuboBackend, TokenRule
from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.reconcile.backend.decide import decide
from pinion_operator.reconcile.backend.observed import Check, Health
from pinion_operator.reconcile.claim import unusable_claim
from pinion_operator.reconcile.model.backend_messages import claim_of, secret_of, to_message
from pinion_operator.resources.names import BACKEND_FINALIZER

EXTERNAL = {
    "type": "Kubo",
    "external": {
        "apiURL": "http://kubo:5001",
        "gatewayURLs": ["http://kubo:8080"],
        "authSecretRef": {"name": "kubo", "key": "bearer"},
    },
}
GATEWAY = {"type": "TrustlessGateway", "external": {"gatewayURLs": ["https://a", "https://b"]}}
CACHE = {"type": "HuggingFaceCache", "cache": {"claimName": "models"}}
TYPES = {"an external Kubo": EXTERNAL, "a gateway": GATEWAY, "a shared cache": CACHE}
GOOD = Health(Check(reachable=True, healthy=True))


def make(backends: Any, spec: dict[str, Any]) -> dict[str, Any]:
    obj: dict[str, Any] = {**backends.make(), "spec": spec}
    return obj


def said(plan: Any) -> dict[str, str]:
    return {one["type"]: f"{one['status']}/{one['reason']}" for one in plan.status["conditions"]}


@pytest.mark.parametrize("spec", TYPES.values(), ids=TYPES.keys())
def test_nothing_is_made_for_it(backends: Any, spec: dict[str, Any]) -> None:
    plan = decide(backends.observed(make(backends, spec), health=GOOD))
    assert not plan.create
    assert not plan.apply
    assert said(plan)["Ready"] == "True/Healthy"


@pytest.mark.parametrize("spec", TYPES.values(), ids=TYPES.keys())
def test_before_the_first_check_nothing_is_claimed(backends: Any, spec: dict[str, Any]) -> None:
    assert said(decide(backends.observed(make(backends, spec))))["Ready"] == "False/Progressing"


def test_only_a_kubo_is_said_to_have_made_a_round_trip(backends: Any) -> None:
    assert "RoundTripHealthy" in said(decide(backends.observed(make(backends, EXTERNAL), health=GOOD)))
    assert "RoundTripHealthy" not in said(decide(backends.observed(make(backends, GATEWAY), health=GOOD)))


@pytest.mark.parametrize("spec", TYPES.values(), ids=TYPES.keys())
def test_broken_after_some_checks_in_a_row(backends: Any, spec: dict[str, Any]) -> None:
    down = Check(reachable=False, healthy=False, problem="no answer within 5 s")
    plan = decide(backends.observed(make(backends, spec), health=Health(down, failures=3)))
    assert said(plan)["Ready"] == "False/Failed"
    assert said(plan)["Reachable"] == "False/Unreachable"


def test_pins_in_somebody_elses_daemon_are_left(backends: Any) -> None:
    unwanted = {"bafy": 1e6}
    assert not decide(backends.observed(make(backends, EXTERNAL), health=GOOD, unwanted=unwanted)).unpin


def test_deleted_without_users_it_goes(backends: Any) -> None:
    obj = {**backends.make(deleting=True), "spec": GATEWAY}
    assert BACKEND_FINALIZER in obj["metadata"]["finalizers"]
    assert decide(backends.observed(obj)).finalizers == ()


def test_what_pods_are_told(backends: Any) -> None:
    def told(spec: dict[str, Any]) -> Any:
        return to_message(IpfsBackend.parse(make(backends, spec)), allow_local_addresses=False)

    external, gateway, cache = told(EXTERNAL), told(GATEWAY), told(CACHE)
    assert isinstance(external, KuboBackend)
    assert (external.rpc_url, external.gateway_url) == ("http://kubo:5001", "http://kubo:8080")
    assert external.token_file == "/etc/pinion/backends/b/token"
    assert external.token_rule == TokenRule(secret="kubo", hosts_file="/etc/pinion/backends/b/hosts")
    assert isinstance(gateway, GatewayBackend)
    assert (gateway.gateway_urls, gateway.token_file) == (("https://a", "https://b"), "")
    assert gateway.token_rule is None
    managed = to_message(IpfsBackend.parse(backends.make()), allow_local_addresses=False)
    assert isinstance(managed, KuboBackend)
    assert (managed.token_file, managed.token_rule) == (external.token_file, None), "the operator's own daemon"
    assert isinstance(cache, CacheBackend)
    assert cache.path == "/var/lib/pinion-shared/b"


def test_waiting_and_breaking_are_told_as_the_spec_says(backends: Any) -> None:
    spec = {**GATEWAY, "transfer": {"stallTimeoutSeconds": 7}, "circuitBreaker": {"openSeconds": 9}}
    message = to_message(IpfsBackend.parse(make(backends, spec)), allow_local_addresses=True)
    assert (message.stall_timeout_seconds, message.circuit_breaker.open_seconds) == (7, 9)
    assert isinstance(message, GatewayBackend)
    assert message.allow_local_addresses


def test_what_pods_mount(backends: Any) -> None:
    parsed = {name: IpfsBackend.parse(make(backends, spec)) for name, spec in TYPES.items()}
    assert secret_of(parsed["an external Kubo"]) == ("kubo", "bearer", True)
    assert secret_of(parsed["a gateway"]) is None
    assert claim_of(parsed["a shared cache"]) == "models"
    managed = IpfsBackend.parse(backends.make())
    assert (secret_of(managed), claim_of(managed)) == (("b-kubo-client", "token", False), "")


CLAIMS: dict[str, tuple[Any, str]] = {
    "none": (None, "does not exist"),
    "going": ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "is being deleted"),
    "lost": ({"metadata": {}, "status": {"phase": "Lost"}}, "has lost its volume"),
    "waiting for its first consumer": ({"metadata": {}, "status": {"phase": "Pending"}}, ""),
    "bound": ({"metadata": {}, "status": {"phase": "Bound"}}, ""),
}


@pytest.mark.parametrize(("claim", "problem"), CLAIMS.values(), ids=CLAIMS.keys())
def test_a_claim(claim: Any, problem: str) -> None:
    assert unusable_claim("models", claim) == (f"PersistentVolumeClaim models {problem}" if problem else "")
