"""Rounds of what may happen to the operator and its API server, with an observer that asks the model all the time."""

import random
import time

import pytest

from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.observed import PATIENCE, observed
from tests.support.observer import Observer
from tests.support.operator_process import OperatorProcess, Operators

pytestmark = [pytest.mark.chaos, pytest.mark.control_plane, pytest.mark.model]

__all__ = ["observed"]


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


def test_no_wrong_moment(
    observed: tuple[Models, Observer],
    operator: OperatorProcess,
    operators: Operators,
    hub: Hub,
    rounds: int,
    dice: random.Random,
) -> None:
    models, observer = observed
    operators.may_lack_rights = True
    running = operator
    for number in range(rounds):
        name = dice.choice(["kill", "stop", "cut", "api server", "change"])
        print(f"round {number}: {name}")
        if name in ("kill", "stop"):
            running.process.kill() if name == "kill" else running.stop()
            time.sleep(dice.random() * 5)
            running = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint})
            running.wait_leading(90)
        elif name == "cut":
            running.proxy.end_watches()
        elif name == "api server":
            operators.control_plane.restart_api_server()
            if running.process.poll() is not None:
                running = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint})
                running.wait_leading(90)
        else:
            models.apply("minilm", hub.minilm, limits={"maxQueuedRequests": 7 + number})
        models.wait_for("minilm", timeout=PATIENCE, Ready="True/Serving")
        time.sleep(2)
    assert observer.moments == []
