"""Control mode on its real processes: what tests get, and that nothing stays behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from devcluster.paths import CONTROL_PROGRAMS, REPOSITORY, control_dir
from devcluster.processes import Process, processes_under
from devcluster.slots import sweep
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

MARK = "of-this-test"  # in a state folder: another control plane may have a new one of the same name at any time

OWNER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what it runs in the background ignore it
from devcluster.control import ControlPlane
with ControlPlane() as plane:
    print(plane.state, flush=True)
    sys.stdin.read()
"""


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def test_a_namespace_has_its_service_account_and_the_garbage_collector_works(
    control_plane: ControlPlane, namespace: str
) -> None:
    kubectl = control_plane.kubectl
    assert kubectl("get", "serviceaccount", "default", "-n", namespace, "-o", "name").strip() == "serviceaccount/default"
    kubectl("create", "configmap", "owner", "-n", namespace)
    uid = kubectl("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    kubectl("create", "configmap", "child", "-n", namespace)
    owner = f'{{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"{uid}"}}'
    kubectl("patch", "configmap", "child", "-n", namespace, "-p", f'{{"metadata":{{"ownerReferences":[{owner}]}}}}')
    kubectl("delete", "configmap", "owner", "-n", namespace)
    kubectl("wait", "--for=delete", "configmap/child", "-n", namespace, "--timeout=50s")


def test_rbac_is_enforced(control_plane: ControlPlane, namespace: str) -> None:
    user = f"--as=system:serviceaccount:{namespace}:default"
    with pytest.raises(KubectlError, match="forbidden"):
        control_plane.kubectl("get", "secrets", "-n", namespace, user)


def test_pod_security_admission_is_on(control_plane: ControlPlane, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    control_plane.kubectl("label", "namespace", namespace, label)
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        control_plane.kubectl("run", "root", "--image=any", "-n", namespace)


def test_two_control_planes_at_once_do_not_meet(control_plane: ControlPlane) -> None:
    with ControlPlane() as other:
        assert other.server != control_plane.server
        other.kubectl("create", "namespace", "only-here")
        with pytest.raises(KubectlError, match="not found"):
            control_plane.kubectl("get", "namespace", "only-here")
        daemons, mark = processes_under([other.state], CONTROL_PROGRAMS), other.state / MARK
        assert daemons
        mark.touch()
    assert not [process for process in daemons if process.alive]
    assert not mark.exists()
    wait_until(lambda: control_plane.kubectl("get", "--raw", "/readyz") == "ok", "the first one is ready")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_owner_leaves_no_process_and_its_folder_goes_with_the_next_run(number: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        state = Path(owner.stdout.readline().strip())
        daemons, mark = processes_under([state], CONTROL_PROGRAMS), state / MARK
        assert len(daemons) == 3
        mark.touch()
        owner.send_signal(number)
        owner.wait(timeout=60)
    wait_for(lambda: not any(process.alive for process in daemons), "the daemons end with their owner")
    sweep(control_dir(), CONTROL_PROGRAMS)
    wait_for(lambda: not mark.exists(), "the folder goes, here or with another that sweeps at the same time")


def test_a_sweep_leaves_running_ones_alone(control_plane: ControlPlane) -> None:
    before = {process.pid for process in processes_under([control_plane.state], CONTROL_PROGRAMS)}
    sweep(control_dir(), CONTROL_PROGRAMS)
    assert {process.pid for process in processes_under([control_plane.state], CONTROL_PROGRAMS)} == before
    assert all(Process.find(pid) for pid in before)
