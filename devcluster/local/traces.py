"""What kubelet, containerd and CNI leave at fixed places outside our folders, found again by the names of our containers."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..mounts import mount_points
from ..removal import remove_tree
from ..steps import Step, take_all
from .layout import CNI_NETWORK, RUN
from .records import read_record, write_record

_CNI_RESULTS = Path("/var/lib/cni/results")
_RUNC = Path("/run/containerd/runc/k8s.io")
_TASKS = RUN / "containerd/io.containerd.runtime.v2.task"
# Removed at the end unless they were there before.
_FOLDERS = (
    *("/run/containerd", "/var/lib/cni", "/var/lib/kubelet"),
    *("/var/log/containers", "/var/log/pods"),
)


def remember_folders(saved: Path) -> None:
    """Write down which of the folders this machine lacks; a former record stays."""
    if not saved.exists():
        write_record(saved, [folder for folder in _FOLDERS if not Path(folder).exists()])


def remove_container_traces() -> None:
    """Delete sockets of shims, states of runc and results of CNI: containers that were killed leave them."""
    kinds: dict[Callable[[Path], None], Iterator[Path]] = {
        _remove_socket: _TASKS.glob("*/*/address"),
        _remove_state: _RUNC.glob("*/state.json"),
        _remove_results: _CNI_RESULTS.glob(f"{CNI_NETWORK}-*"),
    }
    take_all(Step(f"what {path} tells of", partial(work, path)) for work, paths in kinds.items() for path in list(paths))


def remove_folders(saved: Path) -> None:
    """Remove the folders of the record as far as they hold only what dead programs leave: sockets, links, folders.

    Links are dead, or lead into the folder of the record, as the kubelet's to the logs of pods do, which go with that folder.
    """
    if saved.exists():
        take_all(Step(folder, partial(_prune, Path(folder), saved.parent)) for folder in read_record(saved))
        saved.unlink()


def _remove_socket(address: Path) -> None:
    """Delete the socket that a shim listened on; the file with its address goes with its folder."""
    with contextlib.suppress(FileNotFoundError):
        Path(address.read_text().removeprefix("unix://")).unlink()


def _remove_state(state: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if f"{_TASKS}/" in state.read_text():
            remove_tree(state.parent)


def _remove_results(result: Path) -> None:
    container = result.name.removeprefix(f"{CNI_NETWORK}-").rpartition("-")[0]
    for path in _CNI_RESULTS.glob(f"*-{container}-*"):  # ours, and that of the loopback interface
        path.unlink(missing_ok=True)


def _prune(folder: Path, going: Path) -> None:
    if not folder.is_dir() or folder in mount_points():  # what is mounted there is somebody's
        return
    take_all(Step(str(path), partial(_prune_one, path, going)) for path in list(folder.iterdir()))
    if not any(folder.iterdir()):
        folder.rmdir()


def _prune_one(path: Path, going: Path) -> None:
    if path.is_symlink():
        if not path.exists() or path.readlink().is_relative_to(going):
            path.unlink(missing_ok=True)
    elif path.is_dir():
        _prune(path, going)
    elif path.is_socket():
        path.unlink(missing_ok=True)
