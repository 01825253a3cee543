"""Our CRDs, established in the session's API server."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_operator.api.base import GROUP, VERSION
from pinion_operator.api.crd import DEFINITIONS
from tests.support.administrator import administrator, patiently
from tests.support.rule_cases import Submit
from tests.support.waiting import wait_until


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane, crds: None) -> None:
    """Wait for discovery and OpenAPI too, which follow a moment after the CRDs are established."""
    wait_until(lambda: all(_explained(control_plane, one.short) for one in DEFINITIONS), "the API server publishes the CRDs")


def _explained(control_plane: ControlPlane, kind: str) -> bool:
    try:
        return bool(control_plane.kubectl("explain", kind))
    except KubectlError:
        return False


@pytest.fixture(scope="session")
def submit(control_plane: ControlPlane, crds: None) -> Iterator[Submit]:
    """Give a function that shows an object to the API server: returns it as admitted, or why it was refused.

    It asks what `kubectl create --dry-run=server` asks.
    """
    server, tls = administrator(control_plane.kubeconfig)
    plurals = {one.model.__name__: one.plural for one in DEFINITIONS}
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    with httpx.Client(base_url=f"{server}/apis/{GROUP}/{VERSION}/namespaces/default/", verify=tls, timeout=30) as client:

        def run(obj: dict[str, Any]) -> dict[str, Any] | str:
            answer = patiently(lambda: client.post(plurals[obj["kind"]], params=query, json=obj))
            found: dict[str, Any] = answer.json()
            return found if answer.is_success else str(found["message"])

        yield run
