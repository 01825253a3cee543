"""A managed Kubo's pod that is deleted soon after its start: both containers' own commands, as process 1, end at once."""

import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.reconcile.backend.children import pending_children
from pinion_operator.reconcile.backend.observed import ObservedBackend
from pinion_operator.resources.kubo_secret import Credentials
from pinion_operator.resources.kubo_statefulset import REPO_PATH, SECRETS_PATH, SETUP_PATH
from tests.support.ports import free_port
from tests.support.process_one import Started, Starter
from tests.support.serve import wait_until

pytestmark = pytest.mark.kubo

AT_ONCE = 25.0  # seconds: on a machine that does other things, and less than the grace of 60 s that the pod has
KEY = f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n"
CREDENTIALS = Credentials(KEY, secrets.token_hex(16), secrets.token_hex(16))


def rendered() -> dict[str, dict[str, Any]]:
    """Return the children that the operator makes for a managed Kubo, by kind."""
    obj = {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "IpfsBackend",
        "metadata": {"name": "ipfs", "namespace": "tests", "uid": "uid-of-ipfs"},
        "spec": {"type": "Kubo", "managed": {"storage": {"type": "EmptyDir", "size": "1Gi"}}},
    }
    backend = IpfsBackend.parse(obj)
    seen = ObservedBackend(obj=obj, backend=backend, credentials=CREDENTIALS, kubo_image="kubo:1", next_check=15.0)
    return {child["kind"]: dict(child) for child in pending_children(seen, backend).apply}


@dataclass
class KuboPod:
    """The commands of a managed Kubo's pod, on folders instead of volumes and on free ports of loopback."""

    starter: Starter
    binary: Path
    folder: Path

    def __post_init__(self) -> None:
        self.paths = {path: f"{self.folder}{path}" for path in (SETUP_PATH, SECRETS_PATH, REPO_PATH)}
        for path in (*self.paths.values(), f"{self.folder}/home"):
            Path(path).mkdir(parents=True)
        Path(self.paths[REPO_PATH]).rmdir()
        children = rendered()
        for name, text in children["ConfigMap"]["data"].items():
            (Path(self.paths[SETUP_PATH]) / name).write_text(text)
        tokens = {"operator-token": CREDENTIALS.operator_token, "client-token": CREDENTIALS.client_token}
        for name, text in {**tokens, "swarm.key": CREDENTIALS.swarm_key}.items():
            (Path(self.paths[SECRETS_PATH]) / name).write_text(text)
        self.spec: dict[str, Any] = children["StatefulSet"]["spec"]["template"]["spec"]

    def start(self, kind: str) -> Started:
        """Start the one container of a kind: `initContainers` or `containers`."""
        (container,) = self.spec[kind]
        said = {variable["name"]: variable["value"] for variable in container["env"]}
        here = {
            "PATH": f"{self.binary.parent}:/usr/bin:/bin",
            "HOME": f"{self.folder}/home",
            "IPFS_PATH": self.paths[REPO_PATH],
            "IPFS_TELEMETRY": "off",
            "SECRETS": self.paths[SECRETS_PATH],
            "RPC_ADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
            "GATEWAY_ADDRESS": f"/ip4/127.0.0.1/tcp/{free_port()}",
        }
        command = [word.replace(SETUP_PATH, self.paths[SETUP_PATH]) for word in container["command"]]
        return self.starter.process_one(*command, environment=said | here)

    def configured(self) -> "KuboPod":
        """Let the init container do its work."""
        configuring = self.start("initContainers")
        assert configuring.process.wait(timeout=120) == 0, configuring.output()
        return self


@pytest.fixture
def kubo_pod(starter: Starter, ipfs_binary: Path, tmp_path: Path) -> KuboPod:
    return KuboPod(starter, ipfs_binary, tmp_path / "pod")


def can_be_told(container: Started) -> bool:
    """Whether it handles SIGTERM, which a process 1 never sees before; also when it has ended by itself."""
    try:
        return container.handles(signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return True


def delete_after(container: Started, seconds: float) -> int:
    """Tell a container to end so long after its start, from when it handles signals; return its exit code."""
    wait_until(lambda: can_be_told(container), 60, "a handler")
    time.sleep(seconds)  # the moment is what is tried
    ended = container.end(limit=40)
    assert ended.seconds < AT_ONCE, f"it took {ended.seconds:.2f} s; it said:\n{container.output()}"
    return ended.code


def test_the_script_ends_at_once_and_a_later_start_makes_up_for_it(kubo_pod: KuboPod) -> None:
    codes = [delete_after(kubo_pod.start("initContainers"), moment) for moment in (0.05, 0.1, 0.3, 0.6)]
    assert set(codes) <= {143, 0}
    assert 143 in codes, "a machine that does other things lets some come to their own end, and not all"
    kubo_pod.configured()
    assert (Path(kubo_pod.paths[REPO_PATH]) / "swarm.key").is_file()


def test_a_script_that_fails_is_told(kubo_pod: KuboPod) -> None:
    (Path(kubo_pod.paths[SECRETS_PATH]) / "client-token").unlink()
    configuring = kubo_pod.start("initContainers")
    assert configuring.process.wait(timeout=120) != 0
    assert "client-token" in configuring.output()


def test_the_daemon_ends_at_once(kubo_pod: KuboPod) -> None:
    """It needs no init: Go's own start handles signals, and ends a process 1 that cannot be killed by one."""
    kubo_pod.configured()
    for moment in (0.05, 0.1, 0.3, 0.6, 1.0, 2.0):
        delete_after(kubo_pod.start("containers"), moment)
