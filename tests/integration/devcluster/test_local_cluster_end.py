"""However the local cluster ends, nothing of it is left; and a machine that cannot carry it is refused by name.

There is one such cluster per machine: this file stops what runs.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from devcluster.commands import run
from devcluster.daemons import Daemons
from devcluster.errors import DevClusterError
from devcluster.local.cgroup import kill_cgroup, make_cgroup
from devcluster.local.checks import MachineError, check_machine
from devcluster.local.cluster import LocalCluster
from devcluster.local.layout import ADDRESSES, CGROUP, Layout
from devcluster.local.packages import ensure_packages
from devcluster.mounts import mount_points, unmount
from devcluster.paths import REPOSITORY
from tests.support.leavings import leavings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def nothing_left() -> Iterator[dict[str, list[str]]]:
    """Stop what runs and take the machine's state; the tests compare with it, and one that is interrupted leaves nothing."""
    LocalCluster().down()
    ensure_packages()
    yield leavings()
    LocalCluster().down()


def test_daemons_that_were_killed_leave_nothing_after_down(nothing_left: dict[str, list[str]]) -> None:
    cluster = LocalCluster()
    cluster.up()
    pod = ("run", "left", f"--image={cluster.base_image()}", "--command", "--", "sleep", "infinity")
    cluster.kubectl(*pod)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/left", "--timeout=180s", timeout=190)
    daemons = Daemons(cluster.layout.state, tied=False)
    for name in ("kubelet", "containerd"):
        process = daemons.find(name)
        assert process is not None
        process.kill(signal.SIGKILL)
    cluster.down()
    assert leavings() == nothing_left


@contextmanager
def somebodys_namespace(name: str) -> Iterator[None]:
    """Name a network namespace as anybody may: it mounts the folder of names over itself, and nothing undoes that."""
    folder = Path("/run/netns")
    was_there, mounted = folder.is_dir(), mount_points().count(folder)
    run("ip", "netns", "add", name)
    try:
        yield
    finally:
        run("ip", "netns", "delete", name)
        while mount_points().count(folder) > mounted:
            unmount(folder)
        if not was_there:
            folder.rmdir()


def test_namespaces_that_others_name_are_in_nobodys_way(nothing_left: dict[str, list[str]]) -> None:
    cluster = LocalCluster()
    cluster.up()
    pods = [("run", name, f"--image={cluster.base_image()}", "--command", "--", "sleep", "infinity") for name in ("old", "new")]
    cluster.kubectl(*pods[0])
    cluster.kubectl("wait", "--for=condition=Ready", "pod/old", "--timeout=180s", timeout=190)
    with somebodys_namespace("somebodys"):
        cluster.kubectl(*pods[1])
        cluster.kubectl("wait", "--for=condition=Ready", "pod/new", "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "pod", "old", "--now", "--timeout=180s", timeout=190)
        cluster.down()
        assert not list(Path("/run/netns").glob("cni-*"))
    assert leavings() == nothing_left


@contextmanager
def busy_group(folder: Path) -> Iterator[Path]:
    """Yield a control group in ours that the kernel does not delete: something is mounted on it."""
    make_cgroup()
    group = next(path for path in (CGROUPS / CGROUP, *CGROUPS.glob(f"*/{CGROUP}")) if path.is_dir()) / "busy"
    group.mkdir()
    run("mount", "--bind", folder, group)
    try:
        yield group
    finally:
        run("umount", group)
        kill_cgroup()


def test_a_control_group_that_is_busy_for_a_moment_is_waited_for(nothing_left: dict[str, list[str]], tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with busy_group(tmp_path):
            deleting = pool.submit(kill_cgroup)
            with pytest.raises(TimeoutError):  # it waits
                deleting.result(0.5)
        deleting.result(60)
    assert leavings() == nothing_left


def test_a_control_group_that_stays_is_named(nothing_left: dict[str, list[str]], tmp_path: Path) -> None:
    with busy_group(tmp_path) as group, pytest.raises(DevClusterError, match=rf"within 0.3 s.*busy: '{group}'"):
        kill_cgroup(0.3)
    assert leavings() == nothing_left


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3.0, 4.5])
def test_up_may_be_killed_and_run_again(nothing_left: dict[str, list[str]], seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-m", "devcluster", "up"], cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
        with pytest.raises(subprocess.TimeoutExpired):  # the moment of the kill is the point of the test
            process.wait(timeout=seconds)
        process.kill()
    cluster = LocalCluster()
    cluster.up()
    assert cluster.is_up()
    cluster.down()
    assert leavings() == nothing_left


def test_an_occupied_port_is_refused_by_name(nothing_left: dict[str, list[str]]) -> None:
    with (
        socket.create_server(("127.0.0.1", ADDRESSES.etcd_port)),
        pytest.raises(MachineError, match=rf"{ADDRESSES.etcd_port} \(etcd\)"),
    ):
        check_machine(Layout.default())


def test_an_overlapping_route_is_refused_by_name(nothing_left: dict[str, list[str]]) -> None:
    run("ip", "route", "add", "blackhole", "10.214.7.0/24")
    try:
        with pytest.raises(MachineError, match=r"10\.214\.7\.0/24"):
            check_machine(Layout.default())
    finally:
        run("ip", "route", "delete", "blackhole", "10.214.7.0/24")
    assert leavings() == nothing_left
