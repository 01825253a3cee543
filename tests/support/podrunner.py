"""A kubelet's part for control mode: each pod's real program as a local process on a 127.x address of its own."""

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from tests.support import administrator

PROJECT = Path(__file__).parents[2]
LOOK_EVERY = 0.3  # seconds


@dataclass
class RunningPod:
    """The process of one pod and what its kubelet has said of it."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]
    said: dict[str, Any] = field(default_factory=dict)


class PodRunner:
    """Runs the runtime pods of one namespace until it is left; volumes are folders, ConfigMaps in them follow their objects."""

    _octets = itertools.count(2)

    def __init__(self, control_plane: ControlPlane, namespace: str, folder: Path) -> None:
        self._control_plane, self._namespace, self._folder = control_plane, namespace, folder
        self._pods: dict[str, RunningPod] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="podrunner")
        self.problem: BaseException | None = None

    def __enter__(self) -> "PodRunner":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for uid in list(self._pods):
            self._end(uid)
        if self.problem:
            raise self.problem

    def kill(self, name: str) -> None:
        """Kill a pod's process, as a lack of memory would."""
        next(pod for pod in self._pods.values() if pod.folder.name == name).process.kill()

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
        items = administrator.get_all(kubeconfig, "pods,configmaps", self._namespace, "pinion.dev/deployment")
        maps = {item["metadata"]["name"]: item["data"] for item in items if item["kind"] == "ConfigMap"}
        pods = {item["metadata"]["uid"]: item for item in items if item["kind"] == "Pod"}
        for uid in self._pods.keys() - pods.keys():
            self._end(uid)
        for uid, pod in pods.items():
            with contextlib.suppress(KubectlError):  # deleted meanwhile
                self._tend(uid, pod, maps)

    def _tend(self, uid: str, pod: dict[str, Any], maps: dict[str, dict[str, str]]) -> None:
        folder = self._folder / pod["metadata"]["name"]
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                (name, text), *_ = maps.get(volume["configMap"]["name"], {"": ""}).items()
                if not name:
                    return  # as a kubelet: no container before its volumes
                _write(folder / volume["name"] / name, text)
        if uid not in self._pods:
            self._pods[uid] = self._start(folder, pod)
        running = self._pods[uid]
        said = self._observe(running, pod)
        if said != running.said:
            administrator.patch_status(self._control_plane.kubeconfig, "pod", folder.name, self._namespace, said)
            running.said = said

    def _start(self, folder: Path, pod: dict[str, Any]) -> RunningPod:
        address = f"127.77.{os.getpid() % 250}.{next(self._octets)}"
        container = pod["spec"]["containers"][0]
        # What the init of a container would start: here nobody is process 1.
        command = container["command"]
        program = [sys.executable, *command[command.index("python") + 1 :][:2]]
        paths = ["--config", str(folder / "config/config.json"), "--live", str(folder / "live/live.json")]
        where = ["--host", address, "--cache-dir", str(folder / "state"), "--live-seconds", "1", "--drain-seconds", "0"]
        environment = {**os.environ, "HOME": str(folder), "HF_HOME": str(folder / "state"), "OMP_NUM_THREADS": "1"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*program, *paths, *where], cwd=PROJECT, env=environment, stdout=log, stderr=log)
        return RunningPod(address, folder, process)

    def _observe(self, running: RunningPod, pod: dict[str, Any]) -> dict[str, Any]:
        container = pod["spec"]["containers"][0]
        alive = running.process.poll() is None
        ready = alive and _answers(f"http://{running.address}:8081/readyz")
        ended = {"terminated": {"exitCode": running.process.returncode, "reason": "Error"}}
        state = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}} if alive else ended
        condition = {"status": str(ready), "lastTransitionTime": pod["metadata"]["creationTimestamp"]}
        return {
            "phase": "Running",
            "podIP": running.address,
            "podIPs": [{"ip": running.address}],
            "conditions": [{"type": name, **condition} for name in ("Ready", "ContainersReady")],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "state": state,
                    "lastState": {},
                }
            ],
        }

    def _end(self, uid: str) -> None:
        running = self._pods.pop(uid)
        running.process.terminate()
        try:
            running.process.wait(20)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
        print(f"--- log of pod {running.folder.name}\n{(running.folder / 'log').read_text()[-4000:]}")
        shutil.rmtree(running.folder)


@pytest.fixture
def pod_runner(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[PodRunner]:
    """Run the pods of the test's namespace."""
    with PodRunner(control_plane, namespace, tmp_path / "pods") as runner:
        yield runner


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    """Replace a file at once: the pod may be reading it."""
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)
