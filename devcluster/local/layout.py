"""Names, addresses and folders of the local cluster; there is one such cluster per machine."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from ..api import Addresses
from ..paths import cache_dir

NODE = "pinion-node"
BRIDGE = "pinion0"
GUARD_TABLE = "pinion_devcluster"  # an nft table of family inet
CGROUP = "pinion-devcluster"
CNI_NETWORK = "pinion"

# Not the ranges that kind, k3s and kubeadm use, so that theirs may live on the same machine.
NODE_ADDRESS = "10.213.255.1"
PODS = "10.213.0.0/24"
SERVICES = "10.214.0.0/16"
DNS_ADDRESS = "10.214.0.10"
RANGES = tuple(ipaddress.ip_network(text) for text in (f"{NODE_ADDRESS}/32", PODS, SERVICES))

ADDRESSES = Addresses(NODE_ADDRESS, 6443, etcd_port=12379, etcd_peer_port=12380, controllers_port=10257, services=SERVICES)
SCHEDULER_PORT, KUBELET_HEALTH_PORT, PROXY_HEALTH_PORT, PROXY_METRICS_PORT = 10259, 10248, 10256, 10249
POLICIES_METRICS_PORT, POLICIES_QUEUE = 10261, 213  # the second is a number of the kernel's, for packets
LOOPBACK_PORTS = {
    ADDRESSES.etcd_port: "etcd",
    ADDRESSES.etcd_peer_port: "etcd",
    ADDRESSES.controllers_port: "kube-controller-manager",
    SCHEDULER_PORT: "kube-scheduler",
    KUBELET_HEALTH_PORT: "kubelet",
    PROXY_HEALTH_PORT: "kube-proxy",
    PROXY_METRICS_PORT: "kube-proxy",
    POLICIES_METRICS_PORT: "kube-network-policies",
}

# The kernel refuses the address of a Unix socket of 108 bytes or more: sockets live under this short path.
RUN = Path("/run/pinion")
MACHINE_LOCK = Path("/run/pinion.lock")
CONTAINERD_SOCKET = RUN / "containerd.sock"
BUILDKIT_SOCKET = RUN / "buildkitd.sock"

# Files of the state folder: what the machine was like before.
SYSCTLS_RECORD = "sysctls.json"
FOLDERS_RECORD = "folders.json"
OWNER_FILE = "owner"  # of RUN: whose cluster this is, by the layout's root


@dataclass(frozen=True)
class Layout:
    """The folders of the local cluster below the cache folder."""

    root: Path

    @classmethod
    def default(cls) -> "Layout":
        """Return the layout in the cache folder of this user."""
        return cls(cache_dir() / "local")

    @property
    def state(self) -> Path:
        """Return the folder of everything that `down` deletes."""
        return self.root / "state"

    @property
    def containerd(self) -> Path:
        """Return containerd's root: images; it stays."""
        return self.root / "containerd"

    @property
    def buildkit(self) -> Path:
        """Return BuildKit's root; useless without the containerd root it was made with, so they go together."""
        return self.root / "buildkit"

    @property
    def archives(self) -> Path:
        """Return the folder of image archives that we make ourselves; it stays."""
        return self.root / "archives"
