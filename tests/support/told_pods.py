"""Pods of a control plane without nodes that say what a test tells them, in their status and on their port."""

import contextlib
import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_contract.config import LiveConfig, RuntimeConfig, config_digest
from pinion_contract.names import MANAGEMENT_PORT
from pinion_contract.status import BackendUse, ModelFacts, Phase, PodStatus, Transfer, Warm
from tests.support import administrator
from tests.support.waiting import wait_until

LOOK_EVERY = 0.2  # seconds
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass
class ToldPod:
    """One pod: what it was started with, and what it answers on its address."""

    name: str
    config: RuntimeConfig
    digest: str  # of the text that it was given
    live: LiveConfig  # as it is now
    first_live: LiveConfig  # as it was when the pod started
    address: str
    server: ThreadingHTTPServer
    status: PodStatus | None = None
    crashed: bool = False
    said: dict[str, Any] = field(default_factory=dict)


Says = Callable[[ToldPod], PodStatus]


def cid_of(source_digest: str) -> str:
    """Return a CID for the bytes with this digest: the same for the same bytes."""
    number = int.from_bytes(hashlib.sha256(source_digest.encode()).digest())
    digits = "".join(ALPHABET[number >> 5 * at & 31] for at in range(50))
    return f"bafybeia{digits}a"


def serving(pod: ToldPod, **fields: Any) -> PodStatus:
    """Return what a pod says that serves the bytes of its configuration, pinned where it may be; `fields` differ."""
    cid, backends = cid_of(pod.config.source.source_digest), [backend.name for backend in pod.config.backends]
    manifest = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    use = BackendUse(active=backends[0], preferred=backends[0], pinned_in=tuple(backends[:1])) if backends else BackendUse()
    status = PodStatus(
        phase=Phase.READY,
        config_digest=pod.digest,
        revision=pod.config.revision,
        limits=pod.live.limits,
        expected_cid=pod.live.expected_cid,
        served_names=pod.live.served_names,
        cors_origins=pod.live.cors_origins or (),
        model=ModelFacts(name=pod.config.deployment, cid=cid, opened_cid=cid, manifest_cid=manifest, task="feature-extraction"),
        backend=use,
        warm=Warm(done=True, inputs=8, seconds=0.1),
        transfer=Transfer(total_bytes=100, completed_bytes=100),
    )
    return status.model_copy(update=fields)


def in_phase(pod: ToldPod, phase: Phase, **fields: Any) -> PodStatus:
    """Return what a pod says that is still on its way and knows no CID."""
    unknown = ModelFacts(name=pod.config.deployment)
    return serving(pod, phase=phase, model=unknown, backend=BackendUse(), warm=Warm(), transfer=Transfer(), **fields)


class ToldPods:
    """Tends the pods of one namespace until it is left; `says` is asked again for each of them all the time."""

    def __init__(self, control_plane: ControlPlane, namespace: str, says: Says = serving) -> None:
        self.says: Says = says
        self.pods: dict[str, ToldPod] = {}  # by uid; those that are there
        self.seen: list[ToldPod] = []  # all that ever were, in the order of their start
        self._control_plane, self._namespace = control_plane, namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="told-pods")
        self.problem: BaseException | None = None

    def __enter__(self) -> "ToldPods":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with ThreadPoolExecutor(32) as closing:  # each takes a moment, and there may be a hundred
            list(closing.map(_close, self.pods.values()))
        if self.problem:
            raise self.problem

    def of(self, deployment: str) -> list[ToldPod]:
        """Return the pods of a ModelDeployment that are there, oldest first."""
        return [pod for pod in list(self.pods.values()) if pod.config.deployment == deployment]

    def crash(self, deployment: str) -> ToldPod:
        """Let one pod end again and again from now on: its port is closed."""
        pod = wait_until(lambda: self.of(deployment), f"a pod of {deployment}")[0]
        pod.crashed = True
        return pod

    def _run(self) -> None:
        try:
            while not self._stop.wait(LOOK_EVERY):
                try:
                    self._look()
                    self.problem = None
                except KubectlError as error:  # an API server in trouble is asked again, as a kubelet does
                    self.problem = error
        except BaseException as error:
            self.problem = error

    def _look(self) -> None:
        kubeconfig = self._control_plane.kubeconfig
        found = administrator.get_all(kubeconfig, "pods,configmaps", self._namespace, "pinion.dev/deployment")
        maps = {item["metadata"]["name"]: item["data"] for item in found if item["kind"] == "ConfigMap"}
        pods = {item["metadata"]["uid"]: item for item in found if item["kind"] == "Pod"}
        for uid in self.pods.keys() - pods.keys():
            _close(self.pods.pop(uid))
        for uid, obj in pods.items():
            with contextlib.suppress(KubectlError):  # deleted meanwhile
                self._tend(uid, obj, maps)

    def _tend(self, uid: str, obj: dict[str, Any], maps: dict[str, dict[str, str]]) -> None:
        volumes = {volume["name"]: volume for volume in obj["spec"]["volumes"]}
        mounted = {name: volumes[name]["configMap"]["name"] for name in ("config", "live")}
        if not mounted.keys() <= {name for name, config_map in mounted.items() if config_map in maps}:
            return  # as a kubelet: no container before its volumes
        live = LiveConfig.model_validate_json(maps[mounted["live"]]["live.json"])
        if uid not in self.pods:
            self.pods[uid] = _start(obj["metadata"]["name"], maps[mounted["config"]]["config.json"], live)
            self.seen.append(self.pods[uid])
        pod = self.pods[uid]
        pod.live = live
        pod.status = None if pod.crashed else self.says(pod)
        said = _observe(pod, obj)
        if said != pod.said:
            administrator.patch_status(self._control_plane.kubeconfig, "pod", pod.name, self._namespace, said)
            pod.said = said


@pytest.fixture
def told_pods(control_plane: ControlPlane, namespace: str) -> Iterator[ToldPods]:
    """Tend the pods of the test's namespace: at first each serves."""
    with ToldPods(control_plane, namespace) as pods:
        yield pods


def _start(name: str, text: str, live: LiveConfig) -> ToldPod:
    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            status = pod.status  # it may be another one in the next moment
            body = status.model_dump_json(by_alias=True).encode() if status else b""
            self.send_response(200 if status else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    while True:  # an address of its own that nobody else, another worker's test for one, has bound
        address = f"127.79.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        try:
            server = ThreadingHTTPServer((address, MANAGEMENT_PORT), Handler)
        except OSError:
            continue
        break
    server.daemon_threads = True
    pod = ToldPod(name, RuntimeConfig.model_validate_json(text), config_digest(text), live, live, address, server)
    threading.Thread(target=server.serve_forever, args=(0.5,), name=f"told-{name}", daemon=True).start()
    return pod


def _observe(pod: ToldPod, obj: dict[str, Any]) -> dict[str, Any]:
    ready, made = bool(pod.status and pod.status.phase == Phase.READY), obj["metadata"]["creationTimestamp"]
    ended = {"terminated": {"exitCode": 2, "reason": "Error", "startedAt": made, "finishedAt": made}}
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
    container = obj["spec"]["containers"][0]
    condition = {"status": str(ready), "lastTransitionTime": made}
    return {
        "phase": "Running",
        "podIP": pod.address,
        "podIPs": [{"ip": pod.address}],
        "conditions": [{"type": name, **condition} for name in ("Ready", "ContainersReady")],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "restartCount": int(pod.crashed),
                "state": back_off if pod.crashed else {"running": {"startedAt": made}},
                "lastState": ended if pod.crashed else {},
            }
        ],
    }


def _close(pod: ToldPod) -> None:
    pod.server.shutdown()
    pod.server.server_close()
