"""The end of the cluster: everything that `up` and the pods made is found again by name or place, and removed."""

import shutil
from pathlib import Path

from ..commands import run
from ..processes import processes_under, terminate
from . import containerd
from .cgroup import kill_cgroup
from .layout import FOLDERS_RECORD, RUN, SYSCTLS_RECORD, Layout
from .network import stop_network
from .policies import stop_policies
from .traces import recall_folders, remove_container_traces, remove_folders

_CONTROL = (
    *("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    "standard",  # kube-network-policies, by the folder that its program is built from
)
_CONTAINERS = ("containerd", "containerd-shim-runc-v2", "runc", "buildkitd", "buildctl")
_CRI_STATE = "io.containerd.grpc.v1.cri"


def remove_everything(layout: Layout) -> None:
    """Remove processes, mounts, namespaces, tables, groups and state; images stay. Nothing to remove is no error."""
    folders = (layout.state, layout.buildkit, RUN)
    terminate(processes_under(folders, (*_CONTROL, "buildkitd", "buildctl")))
    if containerd.is_running():
        containerd.clear_containers()
    terminate(processes_under(folders, ("containerd",)), grace=10)
    terminate(processes_under(folders, _CONTAINERS))
    kill_cgroup()
    _unmount((layout.state, layout.containerd, RUN))
    stop_policies()
    stop_network(layout.state / SYSCTLS_RECORD)
    remove_container_traces()
    missing_before = recall_folders(layout.state / FOLDERS_RECORD)
    for folder in (layout.containerd / _CRI_STATE, layout.state, RUN):
        if folder.exists():
            shutil.rmtree(folder)
    remove_folders(missing_before)


def mounts_under(folders: tuple[Path, ...]) -> list[str]:
    """Return the mount points below the folders, the innermost first."""
    points = [line.split()[1].encode().decode("unicode_escape") for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((point for point in points if any(point.startswith(f"{folder}/") for folder in folders)), reverse=True)


def _unmount(folders: tuple[Path, ...]) -> None:
    while points := mounts_under(folders):
        for point in points:
            # Lazily: a process that we do not own may still look into it.
            run("umount", "--lazy", point)
