"""The cluster's own containerd: its configuration, its images and its containers."""

import json
import time
from collections.abc import Collection
from pathlib import Path

from ..commands import attempt, run
from ..daemons import Daemons, find_program
from .layout import CNI_NETWORK, CONTAINERD_SOCKET, PODS, RUN, Layout

KUBERNETES_NAMESPACE = "k8s.io"  # containerd's namespace of what the kubelet runs, and of images it sees
_CTR = ("ctr", "--address", CONTAINERD_SOCKET, "--namespace", KUBERNETES_NAMESPACE)


def ctr(*arguments: str | Path, timeout: float = 60) -> str:
    """Run containerd's own command line in the namespace of Kubernetes."""
    return run(*_CTR, *arguments, timeout=timeout)


def start_containerd(layout: Layout, daemons: Daemons, pause_image: str) -> None:
    """Write the configuration, start the daemon and wait until it answers."""
    networks = layout.state / "cni"
    networks.mkdir(parents=True, exist_ok=True)
    (networks / "10-pinion.conflist").write_text(_network(layout))
    config = layout.state / "containerd.toml"
    config.write_text(_config(layout, pause_image, networks))
    daemons.start("containerd", [find_program("containerd", "containerd"), "--config", config])
    daemons.wait_until(is_running, "containerd", timeout=60)


def is_running() -> bool:
    """Tell whether our containerd answers."""
    return CONTAINERD_SOCKET.exists() and attempt("ctr", "--address", CONTAINERD_SOCKET, "version", timeout=10)


def images() -> dict[str, str]:
    """Return the references of all images, with the digest each stands for."""
    lines = ctr("images", "list").splitlines()[1:]
    return {words[0]: words[2] for line in lines if (words := line.split())}


def manifest(digest: str) -> str:
    """Return the manifest that an image stands for."""
    return ctr("content", "get", digest)


def images_in_use() -> set[str]:
    """Return the references that containers were made from."""
    lines = ctr("containers", "list").splitlines()[1:]
    return {words[1] for line in lines if len(words := line.split()) > 1}


def import_archive(archive: Path) -> None:
    """Load an OCI archive and unpack it."""
    ctr("images", "import", archive, timeout=600)


def remove_images(references: Collection[str]) -> None:
    """Delete images, with the second reference (`sha256:...`) that the CRI plugin gives each; shared layers stay."""
    known = images()
    named = {digest for name, digest in known.items() if name not in references and not name.startswith("sha256:")}
    doomed = [name for name, digest in known.items() if name in references or (name[:7] == "sha256:" and digest not in named)]
    if doomed:
        ctr("images", "delete", "--sync", *doomed, timeout=600)  # what they take is free when it returns


def clear_containers(seconds: float = 60) -> int:
    """Kill and delete every container, with its snapshot, and return their number; images stay.

    Raises CommandError for those that do not go within that time.
    """
    deadline = time.monotonic() + seconds
    names = _containers()
    for name in ctr("tasks", "list", "--quiet").split():
        if (rest := deadline - time.monotonic()) > 0:
            attempt(*_CTR, "tasks", "delete", "--force", name, timeout=rest)
    # A containerd that has just started deletes the unfinished ones of its last run by itself: to be too late is no error.
    if names and not attempt(*_CTR, "containers", "delete", *names) and (left := _containers()):
        ctr("containers", "delete", *left)
    return len(names)


def _containers() -> list[str]:
    return ctr("containers", "list", "--quiet").split()


def _network(layout: Layout) -> str:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.state / "cni-addresses"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses}
    return json.dumps({"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [plugin]})


def _config(layout: Layout, pause_image: str, networks: Path) -> str:
    return f"""\
version = 2
root = "{layout.containerd}"
state = "{RUN}/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.state}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  disable_apparmor = true
  # Not in /run/netns: whoever calls `ip netns add` mounts that folder over itself, and no name below can be deleted any more.
  netns_mounts_under_state_dir = true
  # Without CAP_SYS_RESOURCE a lower score cannot be set, and runc would die with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "{find_program("runc", "runc")}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{networks}"
"""
