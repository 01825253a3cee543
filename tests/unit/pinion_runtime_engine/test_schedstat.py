"""What the kernel says of threads that wait for a processor."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from pinion_runtime.engines.schedstat import longest_wait, run_delays


def test_this_kernel_counts_for_each_thread() -> None:
    begun, may_end = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (begun.set(), may_end.wait(30)))
    thread.start()
    try:
        assert begun.wait(30)
        assert {str(os.getpid()), str(thread.native_id)} <= set(run_delays())
    finally:
        may_end.set()
        thread.join()


def test_processes_that_share_a_processor_wait_for_it() -> None:
    """Two busy programs on one processor, each of which asks how long it waited in three seconds of work."""
    program = (
        "import os, sys, time; from pinion_runtime.engines.schedstat import longest_wait, run_delays;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "print('ready', flush=True); sys.stdin.read();"
        "end = time.monotonic() + 3; before = run_delays()\n"
        "while time.monotonic() < end: pass\n"
        "print(longest_wait(before, run_delays()) / 1e9)"
    )
    begin, end = os.pipe()
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, stdin=begin, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    os.close(begin)
    assert all(one.stdout and one.stdout.readline() == "ready\n" for one in running)
    os.close(end)  # which both see at the same time
    waited = [float(one.communicate(timeout=60)[0]) for one in running]
    assert max(waited) > 0.2, waited


def test_a_kernel_that_does_not_count_says_nothing(tmp_path: Path) -> None:
    assert run_delays(tmp_path / "none") == {}
    (tmp_path / "7").mkdir()
    assert run_delays(tmp_path) == {}
    (tmp_path / "7/schedstat").write_text("0 0 0\n")
    assert run_delays(tmp_path) == {}
    (tmp_path / "7/schedstat").write_text("strange\n")
    assert run_delays(tmp_path) == {}


def test_a_thread_that_ends_meanwhile_hides_no_other(tmp_path: Path) -> None:
    for thread in ("1", "2", "3"):
        (tmp_path / thread).mkdir()
    (tmp_path / "1/schedstat").write_text("900 20 3\n")
    (tmp_path / "3/schedstat").write_text("900 0 1\n")
    assert run_delays(tmp_path) == {"1": 20, "3": 0}


def test_the_longest_wait_of_those_that_were_there_before() -> None:
    assert longest_wait({"1": 5, "2": 5}, {"1": 7, "2": 25, "3": 900}) == 20
    assert longest_wait({}, {}) == 0
