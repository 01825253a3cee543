"""kind as far as it goes without an engine: the program that we build, and the node that it would make."""

import subprocess

import pytest

from devcluster.gotools import KIND, KUBERNETES, ensure
from devcluster.kind import CLUSTER, NODE_IMAGE, KindCluster


def test_our_kind_is_built_and_is_what_it_says() -> None:
    ensure([KIND])
    done = subprocess.run([KIND.program("kind"), "version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(f"kind v{KIND.version} ")


def test_the_node_is_of_our_kubernetes_and_pinned_by_digest() -> None:
    name, _, digest = NODE_IMAGE.partition("@sha256:")
    assert name.startswith(f"kindest/node:v{KUBERNETES.rpartition('.')[0]}.")
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("environment", "image"),
    [
        ({}, NODE_IMAGE),
        ({"PINION_NODE_IMAGE": ""}, NODE_IMAGE),
        ({"PINION_NODE_IMAGE": "mirror.example/node:v1.34.0"}, "mirror.example/node:v1.34.0"),
    ],
)
def test_the_node_may_come_from_elsewhere(environment: dict[str, str], image: str) -> None:
    assert KindCluster(environment).node_image == image


def test_a_cluster_without_a_kubeconfig_is_not_up() -> None:
    cluster = KindCluster()
    assert (cluster.name, CLUSTER, cluster.kubeconfig.parent.name) == ("kind", "pinion", "kind")
    assert cluster.kubeconfig.exists() or not cluster.is_up()
