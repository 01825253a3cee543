"""The parts of a node: scheduler, kubelet and kube-proxy."""

import json
from collections.abc import Mapping
from pathlib import Path

from ..api import CLUSTER_DOMAIN, ControlProcesses
from ..daemons import Daemons
from ..gotools import NODE as NODE_TOOLS
from .layout import (
    CGROUP,
    CONTAINERD_SOCKET,
    DNS_ADDRESS,
    KUBELET_HEALTH_PORT,
    NODE,
    NODE_ADDRESS,
    PODS,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    SCHEDULER_PORT,
    Layout,
)


def start_node(layout: Layout, control: ControlProcesses, daemons: Daemons) -> None:
    """Start all three; the node registers itself."""
    scheduler = control.user_kubeconfig("scheduler", "system:kube-scheduler")
    daemons.start(
        "kube-scheduler",
        [
            NODE_TOOLS.program("kube-scheduler"),
            *("--kubeconfig", scheduler, "--authentication-kubeconfig", scheduler, "--authorization-kubeconfig", scheduler),
            *("--bind-address", "127.0.0.1", "--secure-port", str(SCHEDULER_PORT), "--leader-elect=false"),
        ],
    )
    server = control.authority.issue("kubelet-server", NODE, hosts=(NODE, NODE_ADDRESS))
    kubelet = _kubelet(layout, control.authority.crt, server.crt, server.key)
    daemons.start(
        "kubelet",
        [
            NODE_TOOLS.program("kubelet"),
            *(
                "--config",
                _write(layout.state / "kubelet.json", kubelet),
            ),
            *("--kubeconfig", control.user_kubeconfig("kubelet", f"system:node:{NODE}", "system:nodes")),
            *("--root-dir", layout.state / "kubelet", "--hostname-override", NODE, "--node-ip", NODE_ADDRESS),
        ],
    )
    proxy = _proxy(control.user_kubeconfig("kube-proxy", "system:kube-proxy"))
    daemons.start("kube-proxy", [NODE_TOOLS.program("kube-proxy"), "--config", _write(layout.state / "kube-proxy.json", proxy)])


def _write(path: Path, config: Mapping[str, object]) -> Path:
    path.write_text(json.dumps(config, indent=1))
    return path


def _kubelet(layout: Layout, authority: Path, crt: Path, key: Path) -> dict[str, object]:
    resolver = layout.state / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")  # nothing outside the cluster has a name in it
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(crt),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # No iptables: kube-proxy uses nftables, and chains of the kubelet would outlive the cluster.
        "makeIPTablesUtilChains": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(resolver),
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "volume-plugins"),
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": KUBELET_HEALTH_PORT,
        # Images stay for the next cluster, and the disks of development machines are often fuller than the kubelet likes.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            **dict.fromkeys(("nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"), "0%"),
        },
        "oomScoreAdj": 0,
        "serializeImagePulls": False,
    }


def _proxy(kubeconfig: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "bindAddress": NODE_ADDRESS,
        "oomScoreAdj": 0,
        "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{PROXY_METRICS_PORT}",
        # Zero leaves the machine's own limits alone.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        "nodePortAddresses": [f"{NODE_ADDRESS}/32"],
    }
