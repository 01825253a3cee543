"""A lock is free when its holder has died, which may be a moment after it was killed."""

import subprocess
import sys
from pathlib import Path

from devcluster.locks import locked, try_lock, unlock

# As a process that is killed between fork and exec of another: the child has the descriptor until it runs its program.
HOLDER = """
import os, sys, time
from pathlib import Path
from devcluster.locks import try_lock
try_lock(Path(sys.argv[1]))
if os.fork() == 0:
    sys.stdin.read(1)
    os._exit(0)
print("held", flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_was_about_to_start_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "machine.lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        holder.wait()
        assert try_lock(path) is None, "the child has it"
        assert try_lock(path, 0.2) is None
        holder.stdin.close()  # the child ends
        held = try_lock(path, 60)
    assert held is not None
    unlock(path, held)
    assert not path.exists()


def test_one_that_is_held_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "machine.lock"
    with locked(path):
        assert try_lock(path) is None
        assert try_lock(path, 0.1) is None
    held = try_lock(path)
    assert held is not None
    unlock(path, held)
