"""A managed IpfsBackend in a control plane without nodes: a real Kubo in the place of its pod's container."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from devcluster.control import ControlPlane
from pinion_ipfs.backends.kubo_words import PIN_NAME
from pinion_operator.resources.kubo_secret import Credentials
from pinion_operator.resources.kubo_statefulset import mounted_secret
from tests.support import administrator
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.waiting import wait_until

GRACE = 1.0  # seconds until a pin that nobody wants goes

BACKEND: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "store"},
    "spec": {
        "type": "Kubo",
        "managed": {"storage": {"size": "1Gi"}},
        # A busy machine must not make a check fail; a daemon that is gone refuses at once.
        "healthCheck": {"intervalSeconds": 5, "timeoutSeconds": 60, "failureThreshold": 1},
        "reclaimPolicy": "Delete",
    },
}


class World:
    """One namespace, and what a kubelet would do in it."""

    def __init__(self, control_plane: ControlPlane, namespace: str, kubo: Any) -> None:
        self.control_plane, self.namespace, self.kubo = control_plane, namespace, kubo

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return self.control_plane.kubectl(*arguments, f"--namespace={self.namespace}", **options)

    def apply(self, obj: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", input=json.dumps(obj))

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return administrator.find(self.control_plane.kubeconfig, kind, name, self.namespace)

    def set_status(self, kind: str, name: str, status: dict[str, Any]) -> None:
        patch = json.dumps({"status": status})
        self.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)

    def run_pod(self) -> None:
        """Run the daemon with the very Secret that the operator made, and say of the pod what a kubelet would."""
        secret = wait_until(lambda: self.get("secret", self.mounted()), "the Secret")
        values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        self.kubo.credentials = Credentials(values["swarm.key"], values["operator-token"], values["client-token"])
        self.kubo.configure()
        self.kubo.start()
        wait_until(lambda: self.get("pod", "store-kubo-0"), "the StatefulSet's pod")
        conditions = [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}]
        self.set_status("pod", "store-kubo-0", {"phase": "Running", "conditions": conditions})

    def mounted(self) -> str:
        """Return the Secret that the daemon's pod mounts."""
        workload = wait_until(lambda: self.get("statefulset", "store-kubo"), "the StatefulSet")
        return mounted_secret(workload)

    def condition(self, type_: str) -> dict[str, str]:
        backend = self.get("ipfsbackend", "store") or {}
        return next((one for one in backend.get("status", {}).get("conditions", ()) if one["type"] == type_), {})

    def wait_condition(self, type_: str, status: str, reason: str) -> dict[str, str]:
        found: dict[str, str] = {}

        def matches() -> bool:
            nonlocal found
            found = self.condition(type_)
            return (found.get("status"), found.get("reason")) == (status, reason)

        wait_until(matches, f"{type_} {status} {reason}; before {self.condition(type_)}")
        return found

    def pin(self, data: bytes, name: str = PIN_NAME) -> str:
        """Pin a block as a pod of ours does, or under another name; return its CID."""
        token = self.kubo.credentials.client_token
        cid = str(self.kubo.call("block/put", token, files={"file": data}).json()["Key"])
        self.kubo.call("pin/add", token, params={"arg": cid, "name": name}).raise_for_status()
        return cid

    def pins(self) -> set[str]:
        answer = self.kubo.call("pin/ls", self.kubo.credentials.operator_token, params={"type": "recursive"})
        return set(answer.json().get("Keys") or {})

    def apply_model(self, name: str, **status: Any) -> None:
        spec = {"model": {"source": {"huggingFace": {"repo": "org/name"}}}, "storage": {"backendRefs": [{"name": "store"}]}}
        self.apply({"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": name}, "spec": spec})
        if status:
            self.set_status("modeldeployment", name, {"observedGeneration": 1, **status})


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, managed_kubo: Any, crds: None) -> World:
    return World(control_plane, namespace, managed_kubo)


@pytest.fixture
def start(operators: Operators, world: World) -> Callable[[], OperatorProcess]:
    def run() -> OperatorProcess:
        environment = {"BACKEND_RPC_URL": world.kubo.rpc_url, "BACKEND_GRACE": str(GRACE)}
        running = operators.start(("-m", "tests.support.backend_operator"), environment=environment)
        running.wait_leading()
        return running

    return run
