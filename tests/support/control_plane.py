"""A real Kubernetes API for a test session, and a namespace of it for each test."""

import secrets
from collections.abc import Iterator

import pytest

from devcluster.control import ControlPlane
from tests.support import administrator


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Start etcd, kube-apiserver and kube-controller-manager on loopback; each xdist worker has its own."""
    with ControlPlane() as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """Give a new namespace with its service account; the deletion goes on while the next test runs."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.create_namespace(name)
    yield name
    administrator.delete_namespace(control_plane.kubeconfig, name)
