"""kind as far as it goes without an engine: the program that we build, and the node that it would make."""

import os
import subprocess
from pathlib import Path

import pytest

from devcluster.gotools import KIND, KUBERNETES, ensure
from devcluster.kind import CLUSTER, NODE_IMAGE, KindCluster, KindError

# What kind asks of an engine to delete a cluster; the node is a file.
ENGINE = """#!/bin/sh
case "$*" in
  info*) test -e {folder}/engine && echo 29.0 ;;
  *--help*) echo --build-context ;;
  ps*) if [ -e {folder}/node ]; then echo pinion-control-plane; fi ;;
  rm*pinion-control-plane) rm {folder}/node ;;
  *) echo Docker version 29.0 ;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KindCluster:
    """Return one whose node runs in an engine of the test's own."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(ENGINE.format(folder=tmp_path))
    docker.chmod(0o755)
    (tmp_path / "engine").touch()
    (tmp_path / "node").touch()
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    made = KindCluster()
    made.state = tmp_path / "kind"
    return made


def test_a_cluster_whose_kubeconfig_is_gone_is_deleted_all_the_same(cluster: KindCluster, tmp_path: Path) -> None:
    cluster.down()
    assert not (tmp_path / "node").exists()
    assert not cluster.state.exists()
    cluster.down()


def test_without_its_engine_a_cluster_is_not_forgotten(cluster: KindCluster, tmp_path: Path) -> None:
    cluster.state.mkdir()
    cluster.kubeconfig.touch()
    (tmp_path / "engine").unlink()
    with pytest.raises(KindError, match="kind needs a Docker engine"):
        cluster.down()
    assert cluster.kubeconfig.exists()
    (tmp_path / "engine").touch()
    cluster.down()
    assert not (tmp_path / "node").exists()
    assert not cluster.state.exists()
    (tmp_path / "engine").unlink()
    cluster.down()  # nothing was begun, and nobody can be asked


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
