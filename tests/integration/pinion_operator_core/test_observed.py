"""An observer that asks all the time, from the apply to the loss of the operator: no moment at which the status is wrong."""

import pytest

from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.observed import PATIENCE, observed
from tests.support.observer import Observer
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.podrunner import pod_runner
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane, pytest.mark.model, pytest.mark.timeout(1500)]

__all__ = ["observed", "pod_runner"]


@pytest.fixture
def operator(operators: Operators, hub: Hub) -> OperatorProcess:
    """Start one whose Lease does not last long after a kill."""
    running = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_LEASE_SECONDS": "30"})
    running.wait_leading()
    return running


def more(observer: Observer, count: int = 30) -> None:
    """Wait for so many more requests under the claim."""
    before = observer.claimed
    wait_until(lambda: observer.claimed >= before + count, "it goes on asking", PATIENCE)


def test_ready_is_true_at_every_moment_that_it_is_said(
    observed: tuple[Models, Observer], operator: OperatorProcess, operators: Operators, hub: Hub
) -> None:
    models, observer = observed
    more(observer)
    operator.proxy.end_watches()
    more(observer)
    models.apply("minilm", hub.minilm, limits={"maxQueuedRequests": 7})
    models.wait_for("minilm", timeout=PATIENCE, Ready="True/Serving")
    more(observer)
    operator.process.kill()
    more(observer)
    operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint}).wait_leading(150)
    more(observer)
