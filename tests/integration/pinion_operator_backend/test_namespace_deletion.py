"""A namespace that is deleted ends, whatever goes first: the objects, the operator's rights, or the operator."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.operator_process import OperatorProcess, Operators, grant
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]

INSTALL_PAGE = Path(__file__).parents[3] / "docs" / "install.md"
API = "pinion.dev/v1alpha1"
BACKEND = {"type": "Kubo", "managed": {"storage": {"type": "EmptyDir"}}}
MODEL = {"model": {"source": {"huggingFace": {"repo": "org/name"}}}, "storage": {"backendRefs": [{"name": "store"}]}}


class Tenant:
    """A namespace of its own, served by an operator that lives in another."""

    def __init__(self, control_plane: ControlPlane, operators: Operators) -> None:
        self.name = f"tenant-{secrets.token_hex(4)}"
        self.control_plane, self.operators = control_plane, operators
        control_plane.create_namespace(self.name)

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return self.control_plane.kubectl(f"--namespace={self.name}", *arguments, **options)

    def serve(self, namespaces: list[str]) -> OperatorProcess:
        grant(self.control_plane, self.operators.namespace, namespaces=namespaces)
        told = {"PINION_NAMESPACES": ",".join(namespaces), "PINION_WATCH_SECONDS": "3"}
        operator = self.operators.start(environment=told)
        operator.wait_leading()
        return operator

    def fill(self) -> None:
        """Make a backend and a model that uses it, and wait until each knows of the other."""
        for kind, name, spec in (("IpfsBackend", "store", BACKEND), ("ModelDeployment", "minilm", MODEL)):
            body = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
            self.kubectl("apply", "-f", "-", input=json.dumps(body))
        bound = "jsonpath={.status.boundModels}"
        wait_until(lambda: self.kubectl("get", "ipfsb/store", "--output", bound) == "1", "the model is bound", 60)
        assert "pinion.dev/ipfsbackend" in self.kubectl("get", "ipfsb/store", "--output=jsonpath={.metadata.finalizers}")
        # No node confirms the end of a pod here: none may be left for the namespace to wait for.
        wait_until(lambda: self.kubectl("get", "pods", "--output=name"), "the pod", 60)

    def delete(self) -> None:
        self.control_plane.kubectl("delete", "namespace", self.name, "--wait=false")
        self.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")

    @property
    def is_gone(self) -> bool:
        return not self.control_plane.kubectl("get", "namespace", self.name, "--ignore-not-found", "--output=name")

    def wait_gone(self) -> None:
        wait_until(lambda: self.is_gone, "the namespace is gone", timeout=120)


@pytest.fixture
def tenant(control_plane: ControlPlane, operators: Operators) -> Iterator[Tenant]:
    operators.may_lack_rights = True  # they go while it runs
    found = Tenant(control_plane, operators)
    yield found
    for kind in ("clusterrole", "clusterrolebinding"):
        names = control_plane.kubectl("get", kind, "--output=name").split()
        for name in (one for one in names if operators.namespace in one):
            control_plane.kubectl("delete", name, "--ignore-not-found")


def test_the_operator_is_elsewhere_and_may_do_everything(tenant: Tenant) -> None:
    tenant.serve([])
    tenant.fill()
    tenant.delete()
    tenant.wait_gone()


def test_its_rights_in_the_namespace_went_first(tenant: Tenant) -> None:
    operator = tenant.serve([tenant.name])
    tenant.fill()
    before = len(operator.proxy.asked)
    tenant.kubectl("delete", "rolebinding,role", "--all")
    wait_until(lambda: any(one.status == 403 for one in operator.proxy.asked[before:]), "it has felt it", 60)
    tenant.delete()
    tenant.wait_gone()


def test_the_operator_went_first_and_a_person_does_as_the_page_says(tenant: Tenant) -> None:
    operator = tenant.serve([])
    tenant.fill()
    assert operator.stop() == 0
    tenant.delete()
    deleting = "--output=jsonpath={.metadata.deletionTimestamp}"
    wait_until(lambda: tenant.kubectl("get", "ipfsb/store", deleting), "only the finalizer keeps it", 120)
    command = re.search(r"`kubectl (patch ipfsb NAME -n NAMESPACE .*?)`", INSTALL_PAGE.read_text(), re.DOTALL)
    assert command
    words = command[1].replace("'", "").replace("NAMESPACE", tenant.name).replace("NAME", "store")
    arguments, _, patch = words.partition(" -p ")
    tenant.control_plane.kubectl(*arguments.split(), "-p", patch)
    tenant.wait_gone()
