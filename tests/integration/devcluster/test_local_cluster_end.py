"""However the local cluster ends, nothing of it is left; and a machine that cannot carry it is refused by name.

There is one such cluster per machine: this file stops what runs.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.commands import run
from devcluster.daemons import Daemons
from devcluster.local.cgroup import kill_cgroup, make_cgroup
from devcluster.local.checks import MachineError, check_machine
from devcluster.local.cluster import LocalCluster
from devcluster.local.layout import ADDRESSES, CGROUP, Layout
from devcluster.local.packages import ensure_packages
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
    cluster.kubectl("wait", "--for=condition=Ready", "pod/left", "--timeout=60s", timeout=70)
    daemons = Daemons(cluster.layout.state, tied=False)
    for name in ("kubelet", "containerd"):
        process = daemons.find(name)
        assert process is not None
        process.kill(signal.SIGKILL)
    cluster.down()
    assert leavings() == nothing_left


def test_control_groups_that_come_and_go_while_they_are_deleted(nothing_left: dict[str, list[str]]) -> None:
    make_cgroup()
    groups = [path for path in (CGROUPS / CGROUP, *CGROUPS.glob(f"*/{CGROUP}")) if path.is_dir()]
    until = time.monotonic() + 1
    # A shell that is no member, and makes and deletes groups for a second: what is listed is gone, or holds another.
    script = 'while :; do for group; do mkdir -p "$group/pod/container"; rmdir "$group/pod/container"; done; done'
    with subprocess.Popen(["timeout", "1", "sh", "-c", script, "sh", *groups], stderr=subprocess.DEVNULL):
        while time.monotonic() < until:
            kill_cgroup()
    kill_cgroup()
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
