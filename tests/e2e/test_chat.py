"""A chat model in the cluster, by the example's own manifest: applied, served, asked by the clients people have, rolled."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from devcluster.hubmirror.tiny_chat import CHAT, POSITIONS
from devcluster.paths import REPOSITORY
from tests.support.chat_clients import CLIENTS, Question
from tests.support.cluster import Cluster, condition, wait_until
from tests.support.dashboards import PANELS, exported, is_of_generated_text, metrics_of, missing
from tests.support.journeys import PATIENT
from tests.support.kills import KILLS, Target
from tests.support.promql import read
from tests.support.traffic import traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "chat"
MESSAGES = [{"role": "user", "content": "Why do kettles sing?"}]
ASKED: dict[str, Any] = {"model": "chat", "messages": MESSAGES, "max_tokens": 12, "temperature": 0}


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Target]:
    backend, model = yaml.safe_load_all((REPOSITORY / "examples/chat/model.yaml").read_text())
    model["spec"]["model"]["source"]["huggingFace"]["repo"] = CHAT  # the mirror has no other
    backend["spec"]["managed"]["storage"] = {"type": "EmptyDir", "size": "1Gi"}
    model["spec"]["probes"] = PATIENT
    with cluster.namespace(NAMESPACE):
        cluster.apply(backend, NAMESPACE)
        cluster.apply(model, NAMESPACE)
        cluster.kubectl("wait", "-n", NAMESPACE, "mdep/chat", "--for=condition=Ready", "--timeout=300s")
        yield Target(cluster, NAMESPACE, "chat")


def ask(url: str) -> str:
    """Return the text of an answer."""
    answer = httpx.post(f"{url}/v1/chat/completions", json=ASKED, timeout=60)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def serve_by_two(served: Target) -> None:
    served.cluster.patch("mdep", "chat", NAMESPACE, {"spec": {"replicas": 2}})
    wait_until("second pod", served.settled, timeout=300, describe=served.model)


def test_what_is_served_is_told(served: Target) -> None:
    model = served.model()["status"]["model"]
    told = {name: model.get(name) for name in ("task", "engine", "strategy", "strategyReason", "contextLength", "maxSequences")}
    assert told == {
        "task": "text-generation",
        "engine": "transformers",
        "strategy": "slots",
        "strategyReason": "",
        "contextLength": POSITIONS,
        "maxSequences": 16,
    }, model


def test_the_clients_of_others_work_unchanged(served: Target) -> None:
    with served.cluster.port_forward(NAMESPACE, "svc/chat", 80) as url:
        bare = ask(url)
        question = Question(url, "chat", MESSAGES[0]["content"], ASKED["max_tokens"])
        found = {name: client(question) for name, client in CLIENTS.items()}
    assert bare
    assert found == dict.fromkeys(CLIENTS, bare)


def test_no_panel_of_generated_text_is_empty(served: Target) -> None:
    """Once an answer came, what the dashboard asks of generated text is there, with the labels that it selects."""
    cluster, pods = served.cluster, served.pods()
    with cluster.port_forward(NAMESPACE, "svc/chat", 80) as url:
        ask(url)
    paths = [f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8081/proxy/metrics" for pod in pods]
    asked = {panel: metrics_of(read(expression).metrics) for panel, expression in PANELS.items()}
    asked = {panel: metrics for panel, metrics in asked.items() if any(map(is_of_generated_text, metrics))}
    assert len(asked) >= 6
    assert not missing(asked, exported(cluster.kubectl("get", "--raw", path) for path in paths))


def test_a_rollout_under_streams_breaks_none(served: Target) -> None:
    cluster = served.cluster
    serve_by_two(served)
    before = {pod["metadata"]["name"] for pod in served.pods()}
    with traffic(cluster, NAMESPACE, "chat", streams=True) as seen:
        cluster.kubectl("annotate", "-n", NAMESPACE, "mdep/chat", "pinion.dev/restart=now", "--overwrite")
        wait_until("new pods", lambda: not before & {pod["metadata"]["name"] for pod in served.pods()}, timeout=300)
        wait_until("rollout", served.settled, timeout=300, describe=served.model)
    assert not seen.failed, seen.failures
    assert sum(seen.answered.values()) > 5, seen


def test_a_deleted_pod_breaks_no_stream(served: Target) -> None:
    cluster = served.cluster
    serve_by_two(served)
    gone = served.pods()[0]["metadata"]["name"]
    with traffic(cluster, NAMESPACE, "chat", streams=True) as seen:
        wait_until("stream of this pod", lambda: cluster.pod_status(NAMESPACE, gone)["queue"]["runningRequests"], timeout=60)
        cluster.kubectl("delete", "pod", "-n", NAMESPACE, gone, "--timeout=120s")  # returns when it is gone
    assert not seen.failed, seen.failures
    assert sum(seen.answered.values()) > 5, seen

    def replaced() -> bool:
        # The status may be of before it was deleted.
        pods = served.pods()
        ready = [pod["metadata"]["name"] for pod in pods if condition(pod, "Ready")[0] == "True"]
        return len(ready) == len(pods) == 2 and gone not in ready and served.settled()

    wait_until("another pod", replaced, timeout=300, describe=served.model)


@pytest.mark.parametrize("what", ["the engine", "the front"])
def test_what_is_killed_comes_back_and_answers_as_before(served: Target, what: str) -> None:
    pod = f"pod/{served.pods()[0]['metadata']['name']}"  # of those that there are, the one that is struck
    with served.cluster.port_forward(NAMESPACE, pod, 8080) as url:
        before = ask(url)
    wait_until("restart", KILLS[what](served), timeout=180)
    wait_until("recovery", served.settled, timeout=120, describe=served.model)
    with served.cluster.port_forward(NAMESPACE, pod, 8080) as url:  # restarted in place: the pod is the same
        assert ask(url) == before


def test_a_task_that_the_model_can_not_do_is_told(served: Target) -> None:
    cluster = served.cluster
    source = {"huggingFace": {"repo": "sentence-transformers/all-MiniLM-L6-v2"}}
    model = {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "vectors"},
        "spec": {"model": {"source": source, "task": "text-generation"}},
    }
    cluster.apply(model, NAMESPACE)

    def stalled() -> bool:
        conditions = cluster.get("mdep", "vectors", NAMESPACE).get("status", {}).get("conditions", ())
        return any(one["type"] == "Stalled" and one["reason"] == "ModelLoadFailed" for one in conditions)

    wait_until("refusal", stalled, timeout=180, describe=lambda: cluster.get("mdep", "vectors", NAMESPACE))
    assert "can't do text-generation" in json.dumps(cluster.get("mdep", "vectors", NAMESPACE)["status"])
