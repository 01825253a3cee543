"""Where the operator goes for an endpoint that an object names: to public addresses, operator.allowedNetworks, no further."""

import json
import secrets
from collections.abc import Callable

import pytest

from devcluster.control import ControlPlane
from tests.support.behind_urls import behind_urls
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.overheard import overheard
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

ALLOWED, INSIDE = "127.0.0.2", "127.0.0.3"
Start = Callable[[str], OperatorProcess]


@pytest.fixture
def start(operators: Operators, hub: Hub) -> Start:
    """Start the operator, with these networks allowed."""

    def run(networks: str) -> OperatorProcess:
        for running in operators.started:
            running.stop()
        environment = {"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_ALLOWED_NETWORKS": networks}
        running = operators.start(environment={**environment, "PINION_ALLOW_LOCAL_ADDRESSES": "false"})
        running.wait_leading()
        return running

    return run


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, crds: None) -> Models:
    return Models(control_plane, namespace)


@pytest.fixture
def repo(hub: Hub) -> str:
    name = f"pinion-tests/networks-{secrets.token_hex(4)}"
    hub.add_repo(name, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"weights"})
    return name


def ask_again(models: Models, name: str) -> None:
    models.kubectl("annotate", "--overwrite", f"mdep/{name}", f"pinion.dev/reconcile={secrets.token_hex(4)}")


def test_an_endpoint_is_asked_where_it_may_be_and_the_operators_own_always(
    models: Models, start: Start, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    start(f"{ALLOWED}/32")
    with overheard(ALLOWED, hub.endpoint) as allowed, overheard(INSIDE, hub.endpoint) as inside:
        endpoints = {"own": "", "own-by-name": f"{hub.endpoint}/", "allowed": allowed.url, "inside": inside.url}
        for name, endpoint in endpoints.items():
            models.apply(name, repo, source={"endpoint": endpoint})
        for name in ("own", "own-by-name", "allowed"):
            models.wait_for(name, timeout=60, Ready="True/Serving")
        models.wait_for(
            "inside",
            Ready="Unknown/Progressing",
            Reconciling="True/ProgressingWithRetry",
            SourceResolved="False/OriginUnreachable",
        )
        assert "operator.allowedNetworks" in models.message("inside", "Ready")
        assert not models.children("inside")
        assert allowed.heard
        assert inside.heard == []


def test_all_that_does_not_answer_is_told_in_the_same_words(
    models: Models, start: Start, repo: str, told_pods: ToldPods
) -> None:
    operator = start(f"{ALLOWED}/32")
    with behind_urls(ALLOWED, INSIDE) as urls:
        urls |= {"metadata": "http://169.254.169.254", "decimal": "http://2130706435", "six": "http://[::ffff:127.0.0.3]:9"}
        for name, url in urls.items():
            models.apply(name, repo, source={"endpoint": url})
        said: dict[str, str] = {}
        for name, url in urls.items():
            models.wait_for(name, timeout=60, SourceResolved="False/OriginUnreachable")
            status = models.status(name)
            told = [{**one, "lastTransitionTime": ""} for one in status["conditions"]]
            said[name] = json.dumps([told, status["message"], status["phase"]], sort_keys=True).replace(url, "URL")
        assert len(set(said.values())) == 1, said
        assert "operator.allowedNetworks" in said["refused"]
    status = models.kubectl("get", "mdep", "--output=json")
    assert "of-the-inside" not in status
    log = operator.log.read_text()
    for cause in ("Connection refused", "a loopback address", "ReadTimeout"):
        assert cause in log, "whoever runs the operator reads what is behind it"


def test_a_hub_does_not_lead_the_operator_inside_by_a_redirect(
    models: Models, start: Start, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    start(f"{ALLOWED}/32")
    with overheard(INSIDE, hub.endpoint) as inside, overheard(ALLOWED, hub.endpoint) as allowed:
        there = f"{inside.url}/api/models/{repo}/revision/main"
        hub.order(repo, {"kind": "redirect", "status": 307, "location": there, "on": "* api/info"})
        models.apply("m", repo, source={"endpoint": allowed.url})
        models.wait_for("m", SourceResolved="False/OriginUnreachable")
        assert allowed.heard
        assert inside.heard == []


def test_what_runs_goes_on_when_its_hub_may_not_be_asked_any_more(
    models: Models, start: Start, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    """As an upgrade finds it that brings the rule."""
    with overheard(ALLOWED, hub.endpoint) as elsewhere:
        start(f"{ALLOWED}/32")
        for name, fallback in (("automatic", "Automatic"), ("none", "None")):
            models.apply(name, repo, source={"endpoint": elsewhere.url}, storage={"fallback": fallback})
            models.wait_for(name, timeout=60, Ready="True/Serving", SourceDrifted="False/UpToDate")
        before = {pod.name for pod in told_pods.seen}
        asked = len(elsewhere.heard)

        running = start("")
        for name in ("automatic", "none"):
            ask_again(models, name)
            models.wait_for(name, Ready="True/Serving", SourceDrifted="Unknown/OriginUnreachable")
            message = models.message(name, "SourceDrifted")
            assert message.startswith(f"nobody asks where {repo} at main leads by now: {elsewhere.url} does not answer")
            assert "operator.allowedNetworks" in message
        assert len(elsewhere.heard) == asked

        # A change that needs no answer of the hub is carried out all the same; then nothing is written any more.
        models.kubectl("scale", "mdep/none", "--replicas=2")
        wait_until(lambda: len(told_pods.of("none")) == 2, "the second pod")
        models.wait_for("none", timeout=60, Ready="True/Serving")
        assert before <= {pod.name for pod in told_pods.pods.values()}, "no pod was replaced"
        running.wait_quiet()
