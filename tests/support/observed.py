"""One model that really serves, under the observer's eyes, while things are done to the operator and the API server."""

from collections.abc import Iterator

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.observer import ApiReader, ModelPods, Observer
from tests.support.operator_process import OperatorProcess
from tests.support.podrunner import PodRunner

PATIENCE = 600.0  # seconds: on a machine that does other things, torch alone takes a minute to import


@pytest.fixture
def observed(
    control_plane: ControlPlane, namespace: str, operator: OperatorProcess, hub: Hub, pod_runner: PodRunner
) -> Iterator[tuple[Models, Observer]]:
    """Serve MiniLM with one pod, and observe it from before it is there until the test ends."""
    models, reader = Models(control_plane, namespace), ApiReader(control_plane.kubeconfig)
    pods = ModelPods(reader, namespace, "minilm")
    with Observer(pods.look, pods.ask) as observer:
        models.apply("minilm", hub.minilm)
        models.wait_for("minilm", timeout=PATIENCE, Ready="True/Serving")
        yield models, observer
    reader.close()
    observer.check(at_least=20)
    print(f"observer: {observer.looks} looks, {observer.asked} requests, {observer.claimed} under Ready=True, 0 wrong")
