"""From `kubectl apply` to an answer, on a whole cluster; then scaled, suspended, without its operator for a while, deleted."""

import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from devcluster import install
from devcluster.gotools import KUBO
from devcluster.paths import REPOSITORY
from tests.support import waiting
from tests.support.cluster import Cluster, condition, serves, wait_until
from tests.support.dashboards import PANELS, VARIABLES, exported, is_of_generated_text, metrics_of, missing
from tests.support.promql import read

# The first test waits for the images to be built, which takes minutes where nothing is cached.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "quickstart"
SENTENCES = ["A cat sits on the mat.", "A kitten rests on the rug.", "Interest rates rose again last quarter."]
OBJECTS = "mdep,ipfsb,deploy,sts,svc,cm,sa,controllerrevisions"
ORIGIN_BYTES: list[int] = []  # what the first start took from the hub
METRICS_PAGE = REPOSITORY / "docs" / "metrics.md"
REPO = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Cluster]:
    with cluster.namespace(NAMESPACE):
        before = cluster.hub_bytes(REPO)
        cluster.kubectl("apply", "-n", NAMESPACE, "-f", "examples/quickstart/")
        cluster.kubectl("wait", "-n", NAMESPACE, "mdep/minilm", "--for=condition=Ready", "--timeout=300s")
        # A backend that came up late is asked for the pin again, and the model serves meanwhile.
        cluster.kubectl("wait", "-n", NAMESPACE, "mdep/minilm", "--for=condition=ArtifactPinned", "--timeout=180s")
        ORIGIN_BYTES.append(cluster.hub_bytes(REPO) - before)
        yield cluster


def model(cluster: Cluster) -> dict:
    return cluster.get("mdep", "minilm", NAMESPACE)


def pods(cluster: Cluster) -> list[dict]:
    found = cluster.get_all("pods", NAMESPACE, "pinion.dev/deployment=minilm")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def children(cluster: Cluster) -> list[str]:
    found = cluster.get_all("deploy,svc,cm,sa,controllerrevisions,netpol,pods", NAMESPACE, "pinion.dev/deployment=minilm")
    return [f"{child['kind']}/{child['metadata']['name']} {child.get('status', {}).get('phase', '')}" for child in found]


def embed(cluster: Cluster, texts: list[str]) -> list[list[float]]:
    with (
        cluster.port_forward(NAMESPACE, "svc/minilm", 80) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30) as client,
    ):
        assert [model.id for model in client.models.list()] == ["minilm"]
        answer = client.embeddings.create(model="minilm", input=texts)
    return [item.embedding for item in answer.data]


def test_ready_says_what_is_true(served: Cluster) -> None:
    told = served.get_until("two that serve", "mdep", "minilm", NAMESPACE, lambda obj: serves(obj, 2))
    status = told["status"]
    assert status["observedGeneration"] == told["metadata"]["generation"]
    assert {c["type"]: c["status"] for c in status["conditions"] if c["status"] == "True"}.keys() >= {
        "Ready", "Available", "SourceResolved", "ArtifactPinned", "ArtifactVerified", "WorkloadReady", "Warm",
    }  # fmt: skip
    assert not {"Reconciling", "Stalled"} & {c["type"] for c in status["conditions"]}
    assert (status["phase"], status["ready"], status["readyReplicas"]) == ("Ready", "2/2", 2)
    assert status["url"] == f"http://minilm.{NAMESPACE}.svc"


def test_the_cid_is_the_one_that_kubo_computes(served: Cluster, tmp_path: Path) -> None:
    """The oracle is `ipfs add` of the files that the hub serves, on another machine than the pods'."""
    snapshot = served.copy_repository(REPO, tmp_path / "snapshot")
    environment = {"IPFS_PATH": str(tmp_path / "repo"), "PATH": "/usr/bin:/bin"}
    ipfs = str(KUBO.program("ipfs"))
    subprocess.run([ipfs, "init", "--profile=unixfs-v1-2025"], env=environment, check=True, capture_output=True, timeout=60)
    command = [ipfs, "add", "-r", "--hidden", "--dereference-symlinks", "-Q", "--only-hash", str(snapshot)]
    cid = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    assert model(served)["status"]["model"]["cid"] == cid


def test_the_bytes_are_fetched_once(served: Cluster) -> None:
    """One pod asks the origin, the other reads from Kubo by CID."""
    statuses = [served.pod_status(NAMESPACE, pod["metadata"]["name"]) for pod in pods(served)]
    sources = sorted({source["type"] for source in status["transfer"]["sources"]} == {"Origin"} for status in statuses)
    assert sources == [False, True], [status["transfer"] for status in statuses]
    size = model(served)["status"]["model"]["sizeBytes"]
    assert size <= ORIGIN_BYTES[0] <= 1.05 * size
    assert {status["model"]["openedCid"] for status in statuses} == {model(served)["status"]["model"]["cid"]}


def test_the_model_is_pinned_in_kubo(served: Cluster) -> None:
    pins = served.kubo(NAMESPACE, "ipfs", "pin", "ls", "--type=recursive")
    assert model(served)["status"]["model"]["cid"] in pins


def test_the_service_answers_the_openai_client(served: Cluster) -> None:
    cat, kitten, rates = embed(served, SENTENCES)
    assert len(cat) == 384
    assert math.isclose(sum(x * x for x in cat), 1, abs_tol=1e-5)
    near = sum(a * b for a, b in zip(cat, kitten, strict=True))
    far = sum(a * b for a, b in zip(cat, rates, strict=True))
    assert near > 0.5 > far


BAD_REQUESTS = {
    "broken JSON": (b'{"model": "minilm", "input": ', 400, "invalid_request_error"),
    "no input": (b'{"model": "minilm", "input": []}', 400, "invalid_request_error"),
    "a field that nobody knows": (b'{"model": "minilm", "input": "x", "kettle": 1}', 400, "invalid_request_error"),
    "too many inputs": (json.dumps({"model": "minilm", "input": ["x"] * 3000}).encode(), 400, "invalid_request_error"),
    "too large a body": (b'{"model": "minilm", "input": "' + b"x" * 11_000_000 + b'"}', 413, "invalid_request_error"),
    "another model": (b'{"model": "gpt-4", "input": "x"}', 404, "invalid_request_error"),
}


@pytest.mark.parametrize(("body", "status", "kind"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_request_gets_an_answer_in_the_openai_shape(served: Cluster, body: bytes, status: int, kind: str) -> None:
    with served.port_forward(NAMESPACE, "svc/minilm", 80) as url:
        answer = httpx.post(f"{url}/v1/embeddings", content=body, headers={"content-type": "application/json"}, timeout=30)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, kind), answer.text[:500]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]


def test_helm_test_asks_the_operator_and_the_model_that_is_named(served: Cluster) -> None:
    assert "the operator is ready" in served.helm_test("pinion-system", "test.model=", "test.namespace=")
    said = served.helm_test(NAMESPACE, f"test.namespace={NAMESPACE}", "test.model=minilm")
    assert f"minilm ({model(served)['status']['model']['cid']}) answered with a vector of 384 numbers" in said


def test_helm_test_fails_where_nothing_serves(served: Cluster) -> None:
    with pytest.raises(install.HelmError, match="pinion-operator-test"):
        served.helm_test(NAMESPACE, f"test.namespace={NAMESPACE}", "test.model=nobody")


def test_the_operators_image_holds_no_torch(served: Cluster) -> None:
    look = (
        "import importlib.util, pinion_operator; print([m for m in ('torch', 'transformers') if importlib.util.find_spec(m)])"
    )
    command = ("exec", "-n", "pinion-system", "deploy/pinion-operator", "--", "python", "-c", look)
    assert waiting.wait_until(lambda: served.kubectl(*command).strip(), "what its image holds") == "[]"


def test_the_operator_counts_what_it_does(served: Cluster) -> None:
    def counts() -> list[str]:
        ours = "pinion_operator_reconcile"
        return [
            line for line in operator_metrics(served).splitlines() if line.startswith(ours) and 'kind="ModelDeployment"' in line
        ]

    def counted() -> bool:
        lines = counts()
        return any("_total{" in line for line in lines) and any("_seconds_count{" in line for line in lines)

    wait_until("counts of the passes over the model", counted, timeout=60, describe=counts)


def operator_metrics(cluster: Cluster) -> str:
    """Return what the operator exports; raise KubectlError while it starts again: a busy machine may cost it its Lease."""
    found = cluster.get_all("pods", "pinion-system", "app.kubernetes.io/name=pinion-operator")
    (pod,) = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    path = f"/api/v1/namespaces/pinion-system/pods/{pod['metadata']['name']}:8080/proxy/metrics"
    return cluster.kubectl("get", "--raw", path)


def live_metrics(cluster: Cluster) -> dict[str, set[str]]:
    """Return each sample name that the operator or a pod exports at this moment, with its labels."""
    texts = [
        cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8081/proxy/metrics")
        for pod in pods(cluster)
    ]
    return exported([*texts, operator_metrics(cluster)])


def test_no_panel_of_the_dashboard_is_empty(served: Cluster) -> None:
    """Once a request was answered and one refused, whatever a panel asks for is there, with the labels that it selects."""
    embed(served, SENTENCES)
    with served.port_forward(NAMESPACE, "svc/minilm", 80) as url:
        httpx.post(f"{url}/v1/embeddings", json={"model": "minilm", "input": []}, timeout=30)
    provoke_writes_and_events(served)
    asked = {panel: metrics_of(read(expression).metrics) for panel, expression in (PANELS | VARIABLES).items()}
    asked = {panel: metrics for panel, metrics in asked.items() if not any(map(is_of_generated_text, metrics))}
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \|", METRICS_PAGE.read_text(), re.MULTILINE)
    samples = {name + ("_count" if kind == "histogram" else "") for name, kind in documented}
    samples = {name for name in samples if not is_of_generated_text(name)}
    # Have samples beside another installation alone, and while passes over an object fail.
    samples -= {"pinion_operator_other_installation_leads", "pinion_operator_object_failed_passes"}

    def unrecorded() -> list[object]:
        """Return what panels ask for and pages document and nothing records; a new operator has all of it a moment later."""
        live = live_metrics(served)
        return [*missing(asked, live), *sorted(samples - live.keys())]

    wait_until("samples of all that is asked for", lambda: not unrecorded(), timeout=60, describe=unrecorded)


def provoke_writes_and_events(cluster: Cluster) -> None:
    """Let the operator write and tell: one that was restarted at rest has done neither."""
    source = {"huggingFace": {"repo": "pinion-tests/missing"}}
    nowhere = {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "nowhere"}}
    cluster.apply({**nowhere, "spec": {"model": {"source": source}}}, NAMESPACE)
    cluster.get_until("its trouble", "mdep", "nowhere", NAMESPACE, lambda obj: condition(obj, "SourceResolved")[0] == "False")
    cluster.kubectl("delete", "-n", NAMESPACE, "mdep/nowhere", "--timeout=60s")


def test_the_columns_are_for_people(served: Cluster) -> None:
    def lacking() -> list[str]:
        lines = served.kubectl("get", "pinion", "-n", NAMESPACE)
        return [word for word in ("minilm", "2/2", f"http://minilm.{NAMESPACE}.svc") if word not in lines]

    wait_until("columns", lambda: not lacking(), timeout=60, describe=lacking)


def test_an_idle_object_costs_no_write(served: Cluster) -> None:
    """Over 20 seconds neither the objects nor their children get a new resourceVersion."""

    def idle() -> tuple[dict[str, str], dict[str, str]]:
        before = served.versions_at_rest(OBJECTS, NAMESPACE)
        served.observe_for(seconds=20)
        return before, served.versions(OBJECTS, NAMESPACE)

    before, after = served.undisturbed(NAMESPACE, idle)
    assert after == before


def test_scaling_keeps_ready_and_asks_nothing_of_the_origin(served: Cluster) -> None:
    before, revision = served.hub_bytes(REPO), model(served)["status"]["model"]["revision"]

    def scale(replicas: int) -> None:
        wanted = f"{replicas}/{replicas}"
        served.kubectl("scale", "-n", NAMESPACE, "mdep/minilm", f"--replicas={replicas}")
        wait_until(
            f"{wanted} replicas",
            lambda: model(served)["status"]["ready"] == wanted and len(pods(served)) == replicas,
            timeout=300,
        )

    def scaled_up() -> list[str]:
        if len(pods(served)) == 3:  # by an observation that a late probe has disturbed
            scale(2)
        with served.watch_condition(NAMESPACE, "mdep/minilm", "Ready") as seen:
            scale(3)
        return seen

    seen = served.undisturbed(NAMESPACE, scaled_up)
    assert set(seen) == {"True"}, f"a change of replicas alone must keep Ready=True, seen {seen}"
    assert model(served)["status"]["model"]["revision"] == revision
    assert served.hub_bytes(REPO) == before
    scale(2)


def test_an_operator_restart_touches_nothing(served: Cluster) -> None:
    def state() -> tuple[dict[str, str], set[str]]:
        return served.versions(OBJECTS, NAMESPACE), {pod["metadata"]["uid"] for pod in pods(served)}

    def restarted() -> tuple[object, object]:
        served.versions_at_rest(OBJECTS, NAMESPACE)
        before = state()
        served.kubectl("rollout", "restart", "-n", "pinion-system", "deploy/pinion-operator")
        served.kubectl("rollout", "status", "-n", "pinion-system", "deploy/pinion-operator", "--timeout=120s")
        served.observe_for(seconds=15)
        return before, state()

    before, after = served.undisturbed(NAMESPACE, restarted)
    assert after == before
    assert len(embed(served, SENTENCES)) == 3


def test_a_pod_that_dies_is_replaced_from_kubo(served: Cluster) -> None:
    before, there = served.hub_bytes(REPO), pods(served)
    victim, *left = [pod["metadata"]["name"] for pod in there]
    served.kubectl("delete", "pod", "-n", NAMESPACE, victim, "--wait=false")

    def replaced() -> bool:
        ready = {pod["metadata"]["name"]: condition(pod, "Ready")[0] for pod in pods(served)}
        return len(ready) == 2 and victim not in ready and {*left} < {*ready} and {*ready.values()} == {"True"}

    wait_until("a new pod that serves", replaced, timeout=180, describe=lambda: model(served)["status"])
    served.get_until("two that serve", "mdep", "minilm", NAMESPACE, lambda obj: serves(obj, 2), timeout=120)
    assert served.hub_bytes(REPO) == before


def test_suspend_and_resume(served: Cluster) -> None:
    served.patch("mdep", "minilm", NAMESPACE, {"spec": {"suspend": True}})
    wait_until("no pods", lambda: not pods(served), timeout=120)
    wait_until("Suspended", lambda: condition(model(served), "Ready") == ("True", "Suspended"), timeout=60)
    assert condition(model(served), "Available") == ("False", "Suspended")
    assert condition(model(served), "ArtifactPinned")[0] == "True"
    before = served.hub_bytes(REPO)
    served.patch("mdep", "minilm", NAMESPACE, {"spec": {"suspend": False}})
    wait_until("serving again", lambda: model(served)["status"].get("ready") == "2/2", timeout=180)
    wait_until("Ready", lambda: condition(model(served), "Ready") == ("True", "Serving"), timeout=60)
    assert served.hub_bytes(REPO) == before, "a resumed model comes from Kubo, not from the origin"


def test_deletion_leaves_nothing(served: Cluster) -> None:
    """The pins go with the model, the daemon and its objects with the backend; a backend in use waits and says so."""
    cid = model(served)["status"]["model"]["cid"]
    served.kubectl("delete", "-n", NAMESPACE, "ipfsb/ipfs", "--wait=false")
    wait_until(
        "DeletionBlocked", lambda: condition(served.get("ipfsb", "ipfs", NAMESPACE), "DeletionBlocked")[0] == "True", timeout=60
    )
    served.kubectl("delete", "-n", NAMESPACE, "mdep/minilm", "--timeout=60s")
    wait_until("end of the model's children", lambda: not children(served), timeout=300, describe=lambda: children(served))
    wait_until("the backend to go", lambda: not served.get_all("ipfsb", NAMESPACE), timeout=120)
    wait_until("the backend's children to go", lambda: not served.get_all(
        "sts,svc,cm,secrets,pods", NAMESPACE, "pinion.dev/backend=ipfs"), timeout=120)  # fmt: skip
    assert cid
