"""The network of the node: a bridge that carries its address, sysctls, and a guard that keeps cluster traffic at home."""

import ipaddress
import json
from pathlib import Path

from ..commands import attempt, run
from .layout import BRIDGE, GUARD_TABLE, NODE_ADDRESS, PODS, SERVICES

_SYSCTLS = {"net/ipv4/ip_forward": 1, "fs/inotify/max_user_instances": 1024}
# Set by the kubelet, by kube-proxy or by us: kept before the start, put back at the end.
_TOUCHED = (
    *_SYSCTLS,
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
_PROC_SYS = Path("/proc/sys")
_NETNS = Path("/run/netns")


def start_network(saved: Path) -> None:
    """Make bridge, route and guard; keep the former sysctls in the file `saved`."""
    if not saved.exists():
        found = {name: (_PROC_SYS / name).read_text().strip() for name in _TOUCHED if (_PROC_SYS / name).exists()}
        saved.write_text(json.dumps(found))
    # A bridge without ports: not every kernel has dummy devices, and API server and kubelet refuse a loopback address.
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    # Without this route, traffic to a Service without endpoints would follow the default route off the machine.
    run("ip", "route", "add", SERVICES, "dev", BRIDGE, "src", NODE_ADDRESS)
    for name, least in _SYSCTLS.items():
        current = int((_PROC_SYS / name).read_text())
        (_PROC_SYS / name).write_text(str(max(least, current)))
    run("nft", "-f", "-", input=guard_rules())


def guard_rules() -> str:
    """Return the nft table: nothing from the cluster leaves the machine, nothing from outside enters the cluster."""
    home = f'oifname != "lo" oifname != "{BRIDGE}" oifname != "veth*"'
    return f"""
table inet {GUARD_TABLE}
delete table inet {GUARD_TABLE}
table inet {GUARD_TABLE} {{
  set cluster {{ type ipv4_addr; flags interval; elements = {{ {PODS}, {SERVICES}, {NODE_ADDRESS}/32 }} }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    ip saddr @cluster ip daddr != @cluster counter reject
    ip daddr @cluster ip saddr != @cluster counter drop
  }}
  chain output {{
    type filter hook output priority -10; policy accept;
    ip daddr @cluster {home} counter reject
  }}
}}
"""


def stop_network(saved: Path) -> None:
    """Remove what `start_network`, kube-proxy and the CNI plugin made; put the sysctls back."""
    for namespace in pod_namespaces():
        run("ip", "netns", "delete", namespace)  # the pair of interfaces goes with it
    for family, table in (("inet", GUARD_TABLE), ("ip", "kube-proxy"), ("ip6", "kube-proxy")):
        attempt("nft", "delete", "table", family, table)
    attempt("ip", "link", "delete", BRIDGE)
    for way in (("--orig-src", PODS), ("--orig-dst", PODS), ("--orig-dst", SERVICES)):
        # Entries of dead pods would lead DNS of the next cluster astray; the program fails when there are none.
        attempt("conntrack", "--delete", *way)
    if saved.exists():
        for name, value in json.loads(saved.read_text()).items():
            (_PROC_SYS / name).write_text(value)
        saved.unlink()


def pod_namespaces() -> list[str]:
    """Return the network namespaces that hold an address of our pods; those of other programs hold none."""
    found = []
    for path in sorted(_NETNS.glob("cni-*")) if _NETNS.is_dir() else ():
        text = run("ip", "-json", "-4", "-netns", path.name, "address", "show")
        addresses = [entry["local"] for link in json.loads(text or "[]") for entry in link.get("addr_info", ())]
        if any(ipaddress.ip_address(address) in ipaddress.ip_network(PODS) for address in addresses):
            found.append(path.name)
    return found
