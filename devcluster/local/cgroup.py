"""The control group that holds all pods: made before they are, and emptied and deleted after them."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import DevClusterError
from ..processes import Process, end
from .layout import CGROUP

_CGROUPS = Path("/sys/fs/cgroup")
# Of both versions of control groups. In the old one a frozen process does not even die of SIGKILL.
_THAW = {"freezer.state": "THAWED", "cgroup.freeze": "0"}


def make_cgroup() -> None:
    """Make the group that the kubelet puts all pods under, in the unified hierarchy or in each of the old ones."""
    unified = (_CGROUPS / "cgroup.controllers").exists()
    if unified:
        controllers = (_CGROUPS / "cgroup.controllers").read_text().split()
        (_CGROUPS / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
    for parent in [_CGROUPS] if unified else [path for path in _CGROUPS.iterdir() if (path / "cgroup.procs").exists()]:
        (parent / CGROUP).mkdir(exist_ok=True)


def kill_cgroup(seconds: float = 20) -> None:
    """Kill every process in the cluster's control groups and delete the groups; works without a running containerd.

    Raises DevClusterError when groups are there for longer than that, or again and again; the others are gone then. They are
    tried at least once, however late it is.
    """
    deadline = time.monotonic() + seconds
    while groups := _groups():
        for group in groups:
            _thaw(group)
        # Who does not die holds a group of its own: the others can be deleted.
        end((process for group in groups for process in _members(group)), patience=seconds / 4)
        refused = [error for group in groups for error in _delete(group)]
        if time.monotonic() > deadline and (left := _groups()):
            raise DevClusterError(f"do not go within {seconds:g} s: {', '.join(map(str, refused or left))}")
        if refused:
            time.sleep(0.02)


def _groups() -> list[Path]:
    """Return our group in each hierarchy that has it."""
    return [group for group in (_CGROUPS / CGROUP, *_CGROUPS.glob(f"*/{CGROUP}")) if group.is_dir()]


def _delete(group: Path) -> Iterator[OSError]:
    """Delete a group and those in it; give what the kernel refused.

    A process that has just died still holds its group for a moment (EBUSY), and one that lives may make another.
    """
    for folder, _, _ in os.walk(group, topdown=False):  # unlike rglob it does not mind that one is gone
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            yield error


def _thaw(group: Path) -> None:
    for folder, _, _ in os.walk(group):
        for name, value in _THAW.items():
            if (state := Path(folder, name)).exists():
                with contextlib.suppress(OSError):  # the group went away
                    state.write_text(value)


def _members(group: Path) -> list[Process]:
    pids: set[int] = set()
    for folder, _, _ in os.walk(group):
        try:
            pids.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
        except OSError:  # the group went away, or is one of threads
            continue
    return [process for pid in pids if (process := Process.find(pid))]
