"""The whole local cluster: what a pod can rely on. There is one per machine: this file stops what runs, and stops its own."""

import json
import time
import urllib.request
from collections.abc import Iterator

import pytest

from devcluster import limits
from devcluster.daemons import Daemons
from devcluster.errors import DevClusterError
from devcluster.images.spec import ImageSpec
from devcluster.local.checks import MachineError
from devcluster.local.cluster import DAEMONS, LocalCluster
from devcluster.local.layout import Layout
from devcluster.local.packages import ensure_packages
from tests.support.leavings import leavings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SERVER = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.uname().nodename.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
pathlib.Path("/data/started").write_text("yes")
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
CONNECT = """
import socket
try:
    socket.create_connection(("203.0.113.1", 9), timeout=5)
except ConnectionRefusedError:
    print("rejected")
"""


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCluster]:
    cluster = LocalCluster()
    cluster.down()
    ensure_packages()
    before = leavings()
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
    assert leavings() == before


@pytest.fixture(scope="module")
def web(local: LocalCluster) -> LocalCluster:
    """Two restricted, non-root pods behind a Service, with a volume each can write."""
    local.kubectl("create", "namespace", "web")
    local.kubectl("label", "namespace", "web", "pod-security.kubernetes.io/enforce=restricted")
    local.kubectl("apply", "--namespace=web", "--filename=-", input=json.dumps(manifests(local.base_image())))
    local.kubectl("rollout", "status", "deployment/web", "--namespace=web", "--timeout=180s", timeout=190)
    return local


def manifests(image: str) -> dict[str, object]:
    closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "web",
        "image": image,
        "command": ["python3", "-c", SERVER],
        "ports": [{"containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1, "timeoutSeconds": 5},
        "securityContext": closed,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "lifecycle": {"preStop": {"sleep": {"seconds": 20}}},  # Services forget a pod only after it was told to go
    }
    user = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}
    pod = {
        "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 21,  # the server knows no end of its own: it is killed then
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    labels = {"app": "web"}
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": deployment},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
        ],
    }


def pods(cluster: LocalCluster) -> set[str]:
    return set(cluster.kubectl("get", "pods", "-n", "web", "-o", "jsonpath={.items[*].metadata.name}").split())


def in_pod(cluster: LocalCluster, code: str, *arguments: str) -> str:
    return cluster.kubectl("exec", "-n", "web", "deployment/web", "--", "python3", "-c", code, *arguments).strip()


def first_answer(url: str, seconds: float = 60.0) -> str:
    """Ask until a Service answers: kube-proxy and the endpoints follow a rollout by a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_service_answers_from_the_machine_and_from_a_pod_by_name(web: LocalCluster) -> None:
    address = web.kubectl("get", "service", "web", "-n", "web", "-o", "jsonpath={.spec.clusterIP}")
    assert first_answer(f"http://{address}/") in pods(web)
    # Also the pod that asks is among those that may answer.
    assert {in_pod(web, GET, "http://web.web.svc/") for _ in range(4)} <= pods(web)


def test_a_volume_is_writable_for_a_user_that_is_not_root(web: LocalCluster) -> None:
    assert in_pod(web, "print(open('/data/started').read())") == "yes"


def test_traffic_of_pods_does_not_leave_the_machine(web: LocalCluster) -> None:
    assert in_pod(web, CONNECT) == "rejected"


def test_a_rolling_update_loses_no_request(web: LocalCluster) -> None:
    address = web.kubectl("get", "service", "web", "-n", "web", "-o", "jsonpath={.spec.clusterIP}")
    before = pods(web)
    web.kubectl("rollout", "restart", "deployment/web", "-n", "web")
    deadline = time.monotonic() + 180
    while pods(web) & before:
        with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
            assert answer.status == 200
        assert time.monotonic() < deadline, "the old pods do not go"


def test_an_image_is_built_where_pods_find_it(local: LocalCluster) -> None:
    dockerfile = local.layout.state / "Dockerfile.test"
    dockerfile.write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo built > /built\n")
    reference = local.build_image(ImageSpec("test", dockerfile, dockerfile.parent, {"BASE_IMAGE": local.base_image()}))
    local.kubectl("run", "built", f"--image={reference}", "--restart=Never", "--command", "--", "cat", "/built")
    local.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/built", "--timeout=180s", timeout=190)
    assert local.kubectl("logs", "built").strip() == "built"


def test_a_builder_that_had_to_let_go_of_everything_builds_on(local: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cache and containerd's images refer to the same content: what one lets go of must not be missed by the other."""
    monkeypatch.setitem(limits.PARTS, "local", 0)
    dockerfile = local.layout.state / "Dockerfile.again"
    built = []
    for number in range(3):
        dockerfile.write_text(f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN echo same > /same\nRUN echo {number} > /built\n")
        built.append(local.build_image(ImageSpec("again", dockerfile, dockerfile.parent, {"BASE_IMAGE": local.base_image()})))
    local.kubectl("run", "again", f"--image={built[-1]}", "--restart=Never", "--command", "--", "cat", "/same", "/built")
    local.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/again", "--timeout=180s", timeout=190)
    assert local.kubectl("logs", "again").split() == ["same", "2"]


def test_a_broken_dockerfile_is_reported_with_its_output(local: LocalCluster) -> None:
    dockerfile = local.layout.state / "Dockerfile.broken"
    dockerfile.write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo no such luck && exit 3\n")
    with pytest.raises(DevClusterError, match="no such luck"):
        local.build_image(ImageSpec("broken", dockerfile, dockerfile.parent, {"BASE_IMAGE": local.base_image()}))


def test_up_again_is_quick_and_changes_nothing(local: LocalCluster) -> None:
    daemons = Daemons(local.layout.state, tied=False)
    before = [daemons.find(name) for name in DAEMONS]
    local.up()
    assert [daemons.find(name) for name in DAEMONS] == before


def test_a_second_cluster_on_the_machine_is_refused_by_name(local: LocalCluster) -> None:
    with pytest.raises(MachineError, match=str(local.layout.root.parent)):
        LocalCluster(Layout(local.layout.root.parent / "other")).up()
