"""The end of the cluster: everything that `up` and the pods made is found again by name or place, and removed.

Each step is taken whatever became of those before it, and finding nothing to remove is no error: what is left after the end of
all is named, and when nothing is in its way any more a second run removes it.
"""

import contextlib
from collections.abc import Callable
from functools import partial

from ..commands import CommandError, MissingProgramError
from ..images.buildkit import temporary_folder
from ..processes import processes_under, terminate
from ..removal import remove_tree
from ..steps import Step, take_all
from . import containerd
from .cgroup import kill_cgroup
from .layout import FOLDERS_RECORD, OWNER_FILE, RUN, SYSCTLS_RECORD, Layout
from .network import TABLES, delete_bridge, delete_pod_links, delete_table, forget_connections, restore_sysctls
from .policies import POLICIES_TABLE, delete_policy_rule
from .traces import remove_container_traces, remove_folders
from .unmounting import unmount_all

_CONTROL = (
    *("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    *("standard", "buildkitd", "buildctl"),  # the first is kube-network-policies, by the folder that it is built from
)
_CONTAINERS = ("containerd", "containerd-shim-runc-v2", "runc", "buildkitd", "buildctl")
_CRI_STATE = "io.containerd.grpc.v1.cri"
_PATIENCE = 20  # seconds for what the kernel has been told to end


def remove_everything(layout: Layout, patience: float = _PATIENCE) -> None:
    """Remove processes, mounts, namespaces, tables, groups and state; images stay. Raise UnfinishedError for what is left."""
    take_all(removal(layout, patience))
    # Only now: as long as anything is left, its owner and what is to be put back stay written down.
    take_all(Step(str(folder), partial(remove_tree, folder)) for folder in (layout.state, RUN))


def removal(layout: Layout, patience: float = _PATIENCE) -> list[Step]:
    """Return the steps, in the order in which they do not undo each other's work."""
    folders = (layout.state, layout.buildkit, RUN)
    mounted = (layout.root, layout.state, layout.containerd, layout.buildkit, RUN)  # each may be a link to another disk
    sysctls, missing = layout.state / SYSCTLS_RECORD, layout.state / FOLDERS_RECORD
    was_started = sysctls.exists()

    def end(programs: tuple[str, ...], grace: float = 0) -> Callable[[], None]:
        return lambda: terminate(processes_under(folders, programs), grace=grace, patience=patience)

    def asking(work: Callable[[], None]) -> Callable[[], None]:
        """On a machine without the program that it asks, a cluster that was not started has left nothing."""

        def ask() -> None:
            try:
                work()
            except MissingProgramError:
                if was_started:
                    raise

        return ask

    return [
        Step("programs of the control plane and the node", end(_CONTROL)),
        Step("containers", _clear_containers),
        Step("containerd", end(("containerd",), grace=10)),
        Step("programs of containers", end(_CONTAINERS)),
        Step("control groups", lambda: kill_cgroup(patience)),
        Step("mounts", lambda: unmount_all(mounted)),
        Step("the rule of network policies", asking(delete_policy_rule)),
        *(Step(f"the table {' '.join(table)}", asking(partial(delete_table, *table))) for table in (POLICIES_TABLE, *TABLES)),
        Step("interfaces of pods", asking(delete_pod_links)),
        Step("the bridge", asking(delete_bridge)),
        Step("connections of pods", asking(forget_connections)),
        Step("sysctls", lambda: restore_sysctls(sysctls)),
        Step("traces of containers", remove_container_traces),
        Step("folders of others", lambda: remove_folders(missing)),
        Step("containerd's state of pods", lambda: remove_tree(layout.containerd / _CRI_STATE)),
        Step("what a build has left", lambda: remove_tree(temporary_folder(layout.buildkit))),
        Step(str(layout.state), lambda: remove_tree(layout.state, keep=(SYSCTLS_RECORD, FOLDERS_RECORD))),
        Step(str(RUN), lambda: remove_tree(RUN, keep=(OWNER_FILE,))),
    ]


def _clear_containers() -> None:
    # The steps that follow end the processes without containerd, and the next start clears what it still remembers.
    with contextlib.suppress(CommandError):
        if containerd.is_running():
            containerd.clear_containers()
