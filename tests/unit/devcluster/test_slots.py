"""Slots: exclusive, swept when their holder is gone, never while it lives."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from devcluster.locks import try_lock, unlock
from devcluster.paths import REPOSITORY
from devcluster.slots import sweep, take_slot

HOLDER = """
import pathlib, sys
from devcluster.slots import take_slot
slot = take_slot(pathlib.Path(sys.argv[1]), ())
(slot.folder / "file").write_text("x")
print(slot.folder, flush=True)
sys.stdin.read()
"""


def test_two_slots_share_neither_folder_nor_port(tmp_path: Path) -> None:
    first, second = take_slot(tmp_path, ()), take_slot(tmp_path, ())
    assert first.folder != second.folder
    assert not set(first.ports) & set(second.ports)
    assert first.folder.stat().st_mode & 0o777 == 0o700
    first.clear(())
    second.clear(())
    assert list(tmp_path.iterdir()) == []


def test_a_slot_with_an_occupied_port_is_passed_over(tmp_path: Path) -> None:
    probe = take_slot(tmp_path, ())
    probe.clear(())
    with socket.create_server(("127.0.0.1", probe.ports[3])):
        other = take_slot(tmp_path, ())
        assert not set(probe.ports) & set(other.ports)
        other.clear(())


def test_a_sweep_takes_what_a_killed_holder_left_and_nothing_else(tmp_path: Path) -> None:
    mine = take_slot(tmp_path, ())
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        sweep(tmp_path, ())
        assert (folder / "file").exists()
        holder.kill()
        holder.wait()
    sweep(tmp_path, ())
    assert not folder.exists()
    assert mine.folder.exists()
    mine.clear(())


def test_a_lock_is_one_processes_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = try_lock(path)
    assert held is not None
    code = f"from devcluster.locks import try_lock; import pathlib; print(try_lock(pathlib.Path({str(path)!r})))"
    asked = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "None"
    unlock(path, held)
    assert not path.exists()
    again = try_lock(path)
    assert again is not None
    os.close(again)
