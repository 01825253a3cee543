"""The control group that holds all pods: made before they are, and emptied and deleted after them."""

import os
import time
from pathlib import Path

from ..errors import DevClusterError
from ..processes import Process, terminate
from .layout import CGROUP

_CGROUPS = Path("/sys/fs/cgroup")


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

    Raises DevClusterError when the groups are there for longer than that, or again and again.
    """
    refused: list[OSError] = []
    deadline = time.monotonic() + seconds
    while groups := [group for group in (_CGROUPS / CGROUP, *_CGROUPS.glob(f"*/{CGROUP}")) if group.is_dir()]:
        if time.monotonic() > deadline:
            raise DevClusterError(f"control groups do not go within {seconds:g} s: {', '.join(map(str, refused or groups))}")
        terminate(process for group in groups for process in _members(group))
        if refused := [error for group in groups if (error := _delete(group))]:
            time.sleep(0.02)


def _delete(group: Path) -> OSError | None:
    """Delete a group and those in it; return what the kernel refused.

    A process that has just died still holds its group for a moment (EBUSY), and one that lives may make another.
    """
    try:
        for folder, _, _ in os.walk(group, topdown=False):  # unlike rglob it does not mind that one is gone
            Path(folder).rmdir()
    except OSError as error:
        return error
    return None


def _members(group: Path) -> list[Process]:
    pids: set[int] = set()
    for folder, _, _ in os.walk(group):
        try:
            pids.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
        except OSError:  # the group went away, or is one of threads
            continue
    return [process for pid in pids if (process := Process.find(pid))]
