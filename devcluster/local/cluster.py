"""The local cluster: up, down, and what its users ask of it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..api import ControlProcesses
from ..commands import CommandError
from ..daemons import Daemons
from ..gotools import TOOLS, ensure
from ..images import base, system
from ..images.buildkit import PRUNINGS, builder
from ..images.keeping import archive_name, layer_sizes, note_image, outdated_archives, outdated_images
from ..images.spec import ImageSpec
from ..images.tags import REGISTRY
from ..kubectl import Kubectl, KubectlError, shell_line
from ..limits import PARTS
from ..locks import try_lock, unlock
from ..paths import make_private
from ..sizes import folder_size
from ..trees import Trees
from . import containerd
from .addons import apply_addons
from .cgroup import make_cgroup
from .checks import MachineError, check_machine, check_user
from .cleanup import remove_everything
from .layout import (
    ADDRESSES,
    BUILDKIT_SOCKET,
    CGROUP,
    CONTAINERD_SOCKET,
    FOLDERS_RECORD,
    MACHINE_LOCK,
    NODE,
    OWNER_FILE,
    RUN,
    SYSCTLS_RECORD,
    Layout,
)
from .network import start_network
from .node import start_node
from .packages import architecture, ensure_packages
from .policies import POLICIES_DAEMON, start_policies
from .records import write_whole
from .traces import remember_folders

_OWNER = RUN / OWNER_FILE
_LOCK_SECONDS = 10.0  # for what a killed command was about to start
DAEMONS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "containerd", "kube-scheduler", "kubelet", "kube-proxy"),
    POLICIES_DAEMON,
)


class LocalCluster:
    """One node on this machine; `up` and `down` may be interrupted and run again."""

    name = "local"
    exclusive = True

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout.default()
        self._trees = Trees(self.layout.root.parent / "trees")

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig; it stands alone, and goes with the cluster."""
        return self.layout.state / "admin.kubeconfig"

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as the administrator and return its standard output; raise KubectlError when it fails."""
        return Kubectl(self.kubeconfig)(*arguments, input=input, timeout=timeout)

    def up(self) -> None:
        """Start the cluster unless it runs; what an interrupted run left is removed first."""
        check_user()
        with _machine_lock():
            self._check_owner()
            if self.is_up():
                print(f"the cluster is up\n  {shell_line(self.kubeconfig)}", flush=True)
                return
            ensure(TOOLS.values())
            ensure_packages()
            remove_everything(self.layout)
            check_machine(self.layout)
            self._start()

    def down(self) -> None:
        """Stop the cluster and remove all of it but images and builder caches; twice is no error."""
        check_user()
        with _machine_lock():
            self._check_owner()
            remove_everything(self.layout)

    def is_up(self) -> bool:
        """Tell whether every daemon runs and the node is Ready."""
        if not self.kubeconfig.exists():
            return False
        daemons = Daemons(self.layout.state, tied=False)
        return all(daemons.find(name) for name in DAEMONS) and self._node_is_ready()

    def base_image(self) -> str:
        """Return the reference of an image with Python to build on, made when it is missing."""
        reference = base.base_reference()
        self._provide(reference, base.make_base_archive)
        return reference

    def build_image(self, spec: ImageSpec) -> str:
        """Build an image in containerd's own store, unless it is there; return its reference."""
        reference = spec.reference
        note_image(self._trees, reference)
        if reference in containerd.images():
            return reference
        logs = self.layout.root / "build-logs"
        logs.mkdir(parents=True, exist_ok=True)
        where = (BUILDKIT_SOCKET, self.layout.buildkit, CONTAINERD_SOCKET, containerd.KUBERNETES_NAMESPACE, CGROUP)
        with builder(*where) as running:
            running.build(spec, reference, logs / f"{spec.name}.log")
            self._remove_outdated()
            for how in PRUNINGS:
                if folder_size(self.layout.root) <= PARTS["local"]:
                    break
                running.prune(*how)
        return reference

    def load(self, archive: Path) -> None:
        """Import an OCI archive into containerd."""
        containerd.import_archive(archive)

    def crash(self, daemon: str) -> None:
        """Kill one of the daemons at once and start it again: a fault that tests cause."""
        Daemons(self.layout.state, tied=False).crash(daemon)

    def _start(self) -> None:
        layout, clock = self.layout, _Clock()
        make_private(layout.state)
        make_private(RUN)
        write_whole(_OWNER, str(layout.root))
        remember_folders(layout.state / FOLDERS_RECORD)
        start_network(layout.state / SYSCTLS_RECORD)
        make_cgroup()
        daemons = Daemons(layout.state, tied=False)
        containerd.start_containerd(layout, daemons, system.pause_reference())
        if containerd.clear_containers():
            # Left by a run whose containerd died first. The CRI plugin remembers them until it starts again.
            daemons.stop(["containerd"], grace=10)
            containerd.start_containerd(layout, daemons, system.pause_reference())
        self._remove_outdated()
        self._provide(system.pause_reference(), system.make_pause_archive)
        self._provide(system.coredns_reference(), system.make_coredns_archive)
        clock("network, containerd and its images")
        control = ControlProcesses(layout.state, ADDRESSES, daemons)
        control.start(node=True)
        clock("control plane")
        start_node(layout, control, daemons)
        daemons.wait_until(self._node_is_ready, "kubelet", timeout=90)
        clock("node Ready")
        apply_addons(layout, Kubectl(self.kubeconfig), system.coredns_reference())
        self.kubectl(
            "--namespace=kube-system", "wait", "--for=condition=Available", "deployment/coredns", "--timeout=90s", timeout=100
        )
        start_policies(control, daemons)
        clock("DNS, volumes and network policies")
        print(f"the cluster is up\n  {shell_line(self.kubeconfig)}", flush=True)

    def _provide(self, reference: str, make: Callable[[Path, str], None]) -> None:
        """Import an image that we pack ourselves, made when there is no archive of it yet."""
        note_image(self._trees, reference)
        if reference in containerd.images():
            return
        self.layout.archives.mkdir(parents=True, exist_ok=True)
        archive = self.layout.archives / archive_name(reference)
        if not archive.exists():
            make(archive, architecture())
        self.load(archive)

    def _remove_outdated(self) -> None:
        """Delete images that no tree wants, and the oldest ones beyond the limit; what containers are made from stays."""
        known, broken = containerd.images(), []
        layers: dict[str, dict[str, int]] = {}
        for reference in known:
            if reference.startswith(f"{REGISTRY}/"):
                try:
                    layers[reference] = layer_sizes(containerd.manifest(known[reference]))
                except CommandError:  # a disk that was full: whoever wants it makes it anew
                    broken.append(reference)
        outdated = outdated_images(self._trees, layers, containerd.images_in_use())
        containerd.remove_images([*broken, *outdated])
        for archive in outdated_archives(self._trees, self.layout.archives):
            archive.unlink(missing_ok=True)

    def _node_is_ready(self) -> bool:
        ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        try:
            return self.kubectl("get", "node", NODE, "--output", ready, "--request-timeout=30s") == "True"
        except KubectlError:
            return False

    def _check_owner(self) -> None:
        try:
            owner = _OWNER.read_text()
        except OSError:
            return
        if owner not in ("", str(self.layout.root)):
            raise MachineError(
                f"another dev cluster runs on this machine: PINION_CACHE={Path(owner).parent} is its cache folder"
            )


class _Clock:
    """Prints what is done, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, what: str) -> None:
        print(f"  {time.monotonic() - self._started:5.1f} s  {what}", flush=True)


@contextlib.contextmanager
def _machine_lock() -> Iterator[None]:
    lock = try_lock(MACHINE_LOCK, _LOCK_SECONDS)
    if lock is None:
        raise MachineError("another `devcluster up` or `down` is at work on this machine")
    try:
        yield
    finally:
        unlock(MACHINE_LOCK, lock)
