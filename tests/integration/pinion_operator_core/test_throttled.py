"""An API server that refuses a fifth of all requests with 429: all comes to where it should, in at most twice the time."""

import json
import random
import threading
import time

import pytest
from aiohttp import web

from devcluster.control import ControlPlane
from tests.support.api_proxy import Fault
from tests.support.audit import writes
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small, backend
from tests.support.told_pods import ToldPods
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
MODELS = 24
RETRY_AFTER = ("1", "", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "86400")  # the first is what API servers say


class Fifth:
    """Every request, whatever it is, is refused with this probability."""

    def __init__(self) -> None:
        self._chance, self._lock = random.Random(7), threading.Lock()

    def __call__(self, request: web.Request) -> bool:
        with self._lock:
            return self._chance.random() < 0.2


def refuse_a_fifth(operator: OperatorProcess, retry_after: str = "1") -> Fault:
    fault = Fault(Fifth(), 429, retry_after=retry_after)
    operator.proxy.faults.append(fault)
    return fault


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.mark.timeout(900)
def test_models_become_ready_in_at_most_twice_the_time(
    control_plane: ControlPlane, namespace: str, operator: OperatorProcess, hub: Hub, told_pods: ToldPods
) -> None:
    models = Models(control_plane, namespace)

    def bring_up(prefix: str) -> float:
        """Apply all, and return the seconds until each serves."""
        source = {"model": {"source": {"huggingFace": {"repo": hub.minilm}}}}
        names = [f"{prefix}-{number}" for number in range(MODELS)]
        kind = {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment"}
        items = [{**kind, "metadata": {"name": name}, "spec": source} for name in names]
        started = time.monotonic()
        models.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

        def serving() -> bool:
            found = json.loads(models.kubectl("get", "mdep", "-o", "json"))["items"]
            conditions = (c for one in found for c in one.get("status", {}).get("conditions", ()))
            return sum((c["type"], c["status"]) == ("Ready", "True") for c in conditions) == MODELS

        wait_until(serving, f"all {MODELS} models serve", 280)
        seconds = time.monotonic() - started
        models.kubectl("delete", "mdep", *names, "--timeout=120s", timeout=150)
        return seconds

    without = bring_up("a")
    fault = refuse_a_fifth(operator)
    failed = operator.failed_passes()
    seconds = bring_up("b")
    print(f"{MODELS} models: {without:.1f} s, with 429 for {fault.met} requests {seconds:.1f} s")
    assert fault.met > MODELS, "requests were refused"
    if seconds > 2 * without + 15:  # the machine may have been slower by then: once more without, to compare with that
        operator.proxy.clear()
        without = max(without, bring_up("c"))
    assert seconds <= 2 * without + 15, "15 seconds for what else the machine does meanwhile"
    assert operator.failed_passes() <= failed, "no pass was thrown away"
    assert operator.process.poll() is None


@pytest.mark.parametrize("retry_after", RETRY_AFTER)
def test_whatever_the_server_says_of_the_time_nothing_is_lost_or_done_twice(small: Small, retry_after: str) -> None:
    operator = small.leader(PINION_RELIST_SECONDS="2", PINION_WATCH_SECONDS="3")
    fault = refuse_a_fifth(operator, retry_after)
    names = [f"o-{number}" for number in range(12)]
    items = [backend(name, 1) for name in names]
    small.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    for name in names:
        small.wait_ready(name)
    met = fault.met
    small.apply(names[0], 2)
    wait_until(lambda: small.get("configmap", f"{names[0]}-small")["data"] == {"priority": "2"}, "a change comes through")
    wait_until(lambda: fault.met > met, "requests go on being refused")
    operators = small.operators
    made = [one for one in writes(operators.control_plane.audit_log, operators.namespace) if one.verb == "create"]
    assert sorted(one.resource for one in made if one.status == 201) == ["secrets"] * len(names)
    assert operator.process.poll() is None, "kopf's watches and the Lease go on too"
    assert operator.failed_passes() <= 0
