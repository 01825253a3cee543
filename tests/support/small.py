"""Starts the operator with small decisions, and looks at what it did."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import administrator
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.waiting import wait_until

SMALL = (str(Path("tests/support/small_operator.py")),)


class Small:
    """Starts operators, and reads and writes the test's namespace as the administrator."""

    def __init__(self, operators: Operators, outside: Path) -> None:
        self.operators, self.outside = operators, outside

    def start(self, **environment: str) -> OperatorProcess:
        return self.operators.start(SMALL, environment={"SMALL_OUTSIDE": str(self.outside), **environment})

    def leader(self, **environment: str) -> OperatorProcess:
        operator = self.start(**environment)
        operator.wait_leading()
        return operator

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self.operators.control_plane.kubectl("--namespace", self.operators.namespace, *arguments, input=input)

    def apply(self, name: str, priority: int) -> None:
        self.kubectl("apply", "-f", "-", input=json.dumps(backend(name, priority)))

    def get(self, what: str, name: str) -> dict[str, Any]:
        """Return an object, {} when there is none."""
        kubeconfig = self.operators.control_plane.kubeconfig
        return administrator.find(kubeconfig, what, name, self.operators.namespace, managed_fields=True) or {}

    def ready(self, name: str) -> str:
        """Return status/reason of Ready when the status is about the present generation."""
        obj = self.get("ipfsbackend", name)
        if not obj or obj["status"]["observedGeneration"] != obj["metadata"]["generation"]:
            return ""
        condition = obj["status"]["conditions"][0]
        return f"{condition['status']}/{condition['reason']}"

    def wait_ready(self, name: str, wanted: str = "True/Small", timeout: float = 90) -> None:
        wait_until(lambda: self.ready(name) == wanted, f"{name} is {wanted}", timeout)


@pytest.fixture
def small(operators: Operators, tmp_path: Path) -> Iterator[Small]:
    outside = tmp_path / "outside"
    outside.mkdir()
    running = Small(operators, outside)
    # The chart lets nobody read Secrets; this program does, to see whether its own is there.
    running.kubectl("create", "role", "small", "--verb=get", "--resource=secrets")
    running.kubectl("create", "rolebinding", "small", "--role=small", f"--serviceaccount={operators.account.split(':', 2)[2]}")
    yield running
    # Nothing of ours may keep the namespace from going, and nobody put the finalizers back.
    operators.stop_all()
    for name in running.kubectl("get", "ipfsbackends", "-o", "name").split():
        running.kubectl("patch", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def backend(name: str, priority: int) -> dict[str, Any]:
    spec = {"type": "Kubo", "priority": priority, "managed": {}}
    return {"apiVersion": "pinion.dev/v1alpha1", "kind": "IpfsBackend", "metadata": {"name": name}, "spec": spec}
