"""Our CRDs, established in the session's API server."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_operator.api.crd import DEFINITIONS
from tests.support.operator_process import wait_until


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane, crds: None) -> None:
    """Wait for discovery and OpenAPI too, which follow a moment after the CRDs are established."""
    wait_until(lambda: all(_explained(control_plane, one.short) for one in DEFINITIONS), "the API server publishes the CRDs")


def _explained(control_plane: ControlPlane, kind: str) -> bool:
    try:
        return bool(control_plane.kubectl("explain", kind))
    except KubectlError:
        return False


@pytest.fixture
def submit(control_plane: ControlPlane, crds: None, namespace: str) -> Callable[[dict[str, Any]], dict[str, Any] | str]:
    """Give a function that shows an object to the API server: returns it as admitted, or why it was refused."""

    def run(obj: dict[str, Any]) -> dict[str, Any] | str:
        command = ("create", f"--namespace={namespace}", "--dry-run=server", "--output=json", "-f", "-")
        try:
            return dict(json.loads(control_plane.kubectl(*command, input=json.dumps(obj))))
        except KubectlError as error:
            return error.stderr

    return run
