"""Processes are told apart, found by the folders they name, and ended."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.daemons import DaemonError, Daemons
from devcluster.processes import Process, processes_under, terminate

SLEEP = shutil.which("sleep") or "sleep"
STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); sys.stdin.read()"


def test_a_zombie_is_not_a_running_process() -> None:
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read()  # its end, and nobody has waited for it yet
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{child.pid}").exists()
        assert Process.find(child.pid) is None


def test_a_process_is_not_mistaken_for_a_later_one_with_its_pid() -> None:
    me = Process.find(os.getpid())
    assert me is not None
    assert me.alive
    assert Process.parse(str(me)) == me
    assert not Process(me.pid, me.started + 1).alive


@pytest.mark.parametrize("text", ["", "12", "12 x", "x 12", "12 13 14"])
def test_a_damaged_pid_file_names_no_process(text: str) -> None:
    assert Process.parse(text) is None


def test_processes_are_found_by_program_and_folder(tmp_path: Path) -> None:
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, f"--data={tmp_path}/x"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        name = Path(sys.executable).name
        assert [process.pid for process in processes_under([tmp_path], [name])] == [child.pid]
        assert processes_under([tmp_path], ["other"]) == []
        assert processes_under([tmp_path / "x"], [name]) == []
        child.kill()


def test_a_process_that_ignores_term_is_killed_after_the_grace() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = Process.find(child.pid)
        assert process is not None
        terminate([process], grace=0.2)
        assert child.wait(timeout=5) == -9


def test_a_daemon_that_dies_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path, tied=True)
    daemons.start("broken", ["/bin/sh", "-c", "echo no such luck; exit 3"])
    with pytest.raises(DaemonError, match=r"(?s)broken died.*no such luck"):
        daemons.wait_until(lambda: False, "broken", timeout=10)
    daemons.stop()


def test_a_daemon_is_found_by_another_object_and_stopped(tmp_path: Path) -> None:
    Daemons(tmp_path, tied=True).start("sleeper", [SLEEP, "600"])
    others = Daemons(tmp_path, tied=True)
    process = others.find("sleeper")
    assert process is not None
    others.stop()
    assert not process.alive
    assert others.names() == []
    os.waitpid(process.pid, 0)


def test_a_crashed_daemon_runs_again_with_the_same_command(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path, tied=True)
    daemons.start("sleeper", [SLEEP, "600"])
    before = daemons.find("sleeper")
    daemons.crash("sleeper")
    after = daemons.find("sleeper")
    daemons.stop()
    assert before is not None
    assert after is not None
    assert before.pid != after.pid
    assert not before.alive
    with pytest.raises(DaemonError, match="sleeper does not run"):
        daemons.crash("sleeper")
