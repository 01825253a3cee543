"""What kubelet, containerd and CNI leave at fixed places outside our folders, found again by the names of our containers."""

import json
import shutil
from pathlib import Path

from .layout import CNI_NETWORK, RUN

_CNI_RESULTS = Path("/var/lib/cni/results")
_RUNC = Path("/run/containerd/runc/k8s.io")
_TASKS = RUN / "containerd/io.containerd.runtime.v2.task"
# Removed at the end unless they were there before.
_FOLDERS = (
    *("/run/containerd", "/run/netns", "/var/lib/cni", "/var/lib/kubelet"),
    *("/var/log/containers", "/var/log/pods"),
)


def remember_folders(saved: Path) -> None:
    """Write down which of the folders this machine lacks; a former record stays."""
    if not saved.exists():
        saved.write_text(json.dumps([folder for folder in _FOLDERS if not Path(folder).exists()]))


def recall_folders(saved: Path) -> list[Path]:
    """Return the folders that `remember_folders` found missing."""
    return [Path(folder) for folder in json.loads(saved.read_text())] if saved.exists() else []


def remove_container_traces() -> None:
    """Delete sockets of shims, states of runc and results of CNI: containers that were killed leave them."""
    for address in _TASKS.glob("*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    for state in _RUNC.glob("*/state.json"):
        if f"{_TASKS}/" in state.read_text():
            shutil.rmtree(state.parent)
    for result in _CNI_RESULTS.glob(f"{CNI_NETWORK}-*"):
        container = result.name.removeprefix(f"{CNI_NETWORK}-").rpartition("-")[0]
        for path in _CNI_RESULTS.glob(f"*-{container}-*"):  # ours, and that of the loopback interface
            path.unlink()


def remove_folders(folders: list[Path]) -> None:
    """Remove folders as far as they hold only what dead programs leave: sockets, links to nowhere, empty folders."""
    for folder in folders:
        if folder.is_dir():
            _prune(folder)


def _prune(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_symlink():
            if not path.exists():
                path.unlink()
        elif path.is_dir():
            _prune(path)
        elif path.is_socket():
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
