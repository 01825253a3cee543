"""An operator with few file descriptors: it knows how many, keeps within them, and calls no healthy pod unreachable."""

import json
import signal

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import Operators
from tests.support.told_pods import ToldPods
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]
MODELS, REPLICAS = 8, 16  # pods: as many as there are descriptors
# Both wait longer for a pod than an operator does: threads of pytest answer for these, and may stand still for a while.
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
import pinion_operator.probes.pods as p
p.TIMEOUT_SECONDS = 10.0
sys.argv = ["pinion_operator"]
runpy.run_module("pinion_operator", run_name="__main__")
"""
TAKEN = """
import os, resource, runpy, signal, sys
taken = []
def take(*_):
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
def give_back(*_):
    while taken:
        os.close(taken.pop())
signal.signal(signal.SIGUSR1, take)
signal.signal(signal.SIGUSR2, give_back)
import pinion_operator.probes.pods as p
p.TIMEOUT_SECONDS = 10.0
sys.argv = ["pinion_operator"]
runpy.run_module("pinion_operator", run_name="__main__")
"""


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


def program(soft: int, hard: int) -> tuple[str, ...]:
    """Return the operator as it starts where `ulimit -n` says so."""
    return ("-c", LIMITED.format(soft=soft, hard=hard))


@pytest.mark.timeout(900)
def test_as_many_pods_as_descriptors_stay_ready(
    control_plane: ControlPlane, namespace: str, operators: Operators, hub: Hub, told_pods: ToldPods
) -> None:
    limit = MODELS * REPLICAS
    operator = operators.start(program(limit, limit), environment={"PINION_HUB_ENDPOINT": hub.endpoint})
    operator.wait_leading()
    models = Models(control_plane, namespace)
    for number in range(MODELS):
        models.apply(f"m-{number}", hub.minilm, replicas=REPLICAS)
    for number in range(MODELS):
        models.wait_for(f"m-{number}", timeout=400, Ready="True/Serving")

    def changes() -> list[dict[str, str]]:
        return [line for line in operator.lines() if line["message"] == "condition changed" and line["condition"] == "Ready"]

    before, passes = len(changes()), operator.metric("pinion_operator_reconcile_total")
    for number in range(MODELS):  # all at once
        models.kubectl("annotate", "mdep", f"m-{number}", "pinion.dev/reconcile=now")
    name = "pinion_operator_reconcile_total"
    wait_until(lambda: operator.metric(name) >= passes + 4 * MODELS, "four passes over each", 300)
    assert changes()[before:] == [], "healthy models are called something else"
    assert operator.metric("process_open_fds") < limit
    assert operator.failed_passes() <= 0
    assert [line["limit"] for line in operator.lines() if line["message"] == "file descriptors"] == [limit]


def test_a_low_soft_limit_is_raised_and_too_low_a_hard_one_is_refused(operators: Operators) -> None:
    raised = operators.start(program(256, 4096))
    raised.wait_leading()
    said = [line for line in raised.lines() if line["message"] == "file descriptors"]
    assert [(line["was"], line["limit"]) for line in said] == [(256, 4096)]
    assert raised.metric("process_max_fds") == 4096
    refused = operators.start(program(64, 64))
    assert refused.wait() == 2
    assert "64 file descriptors (ulimit -Hn) are too few" in refused.log.read_text()


def test_descriptors_that_run_out_change_no_status(
    control_plane: ControlPlane, namespace: str, operators: Operators, hub: Hub, told_pods: ToldPods
) -> None:
    """Something else in the process takes them all, for a while."""
    operator = operators.start(("-c", TAKEN), environment={"PINION_HUB_ENDPOINT": hub.endpoint})
    operator.wait_leading()
    models = Models(control_plane, namespace)
    models.apply("one", hub.minilm, replicas=2)
    models.wait_for("one", Ready="True/Serving")
    before = json.dumps(models.status("one"))
    failed = operator.metric("pinion_operator_reconcile_total", result="failed")
    operator.signal(signal.SIGUSR1)
    wait_until(lambda: [line for line in operator.lines() if "of the operator's own" in line.get("error", "")], "it is noticed")
    operator.signal(signal.SIGUSR2)
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total", result="failed") > failed, "the pass is made again")
    passes = operator.metric("pinion_operator_reconcile_total", result="unchanged")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total", result="unchanged") > passes, "and succeeds")
    assert json.dumps(models.status("one")) == before
