"""The network of the node: a bridge that carries its address, sysctls, and a guard that keeps cluster traffic at home."""

import ipaddress
import json
from functools import partial
from pathlib import Path
from typing import Any

from ..commands import CommandError, run
from ..steps import Step, UnfinishedError, take_all
from .layout import BRIDGE, GUARD_TABLE, NODE_ADDRESS, PODS, SERVICES
from .records import read_record, write_record

_SYSCTLS = {"net/ipv4/ip_forward": 1, "fs/inotify/max_user_instances": 1024}
# Set by the kubelet, by kube-proxy or by us: kept before the start, put back at the end.
_TOUCHED = (
    *_SYSCTLS,
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
_PROC_SYS = Path("/proc/sys")
TABLES = (("inet", GUARD_TABLE), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def start_network(saved: Path) -> None:
    """Make bridge, route and guard; keep the former sysctls in the file `saved`."""
    if not saved.exists():
        found = {name: (_PROC_SYS / name).read_text().strip() for name in _TOUCHED if (_PROC_SYS / name).exists()}
        write_record(saved, found)
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


def delete_pod_links() -> None:
    """Delete the machine's ends of the pods' interfaces, whatever became of the other ends; with each its route goes."""
    # Waiting for the kernel to take a network namespace down would leave routes that the next start refuses.
    pairs = {link["ifname"] for link in _links("type", "veth")}
    routes: list[dict[str, Any]] = json.loads(run("ip", "-json", "-4", "route", "show") or "[]")
    leading = {route["dev"] for route in routes if "dev" in route and _is_pods(route["dst"])}
    take_all(Step(f"the interface {name}", partial(_delete_link, name)) for name in sorted(pairs & leading))


def delete_bridge() -> None:
    """Delete the bridge, with its address and routes."""
    _delete_link(BRIDGE)


def delete_table(family: str, name: str) -> None:
    """Delete a table of nftables; one that is gone is no error."""
    if has_table(family, name):
        try:
            run("nft", "delete", "table", family, name)
        except CommandError:
            if has_table(family, name):
                raise


def has_table(family: str, name: str) -> bool:
    """Tell whether nftables has a table."""
    known = json.loads(run("nft", "--json", "list", "tables"))["nftables"]
    return any((one["table"]["family"], one["table"]["name"]) == (family, name) for one in known if "table" in one)


def forget_connections() -> None:
    """Delete the kernel's entries of pods and Services: those of dead pods would lead DNS of the next cluster astray."""
    for way in (("--orig-src", PODS), ("--orig-dst", PODS), ("--orig-dst", SERVICES)):
        try:
            run("conntrack", "--delete", *way)
        except CommandError as error:
            if "0 flow entries" not in str(error):  # it fails when there are none
                raise


def restore_sysctls(saved: Path) -> None:
    """Put the former sysctls back; those that cannot be stay in the record, for the next time."""
    if not saved.exists():
        return
    former, refused = read_record(saved), {}
    for name, value in former.items():
        try:
            if (_PROC_SYS / name).read_text().strip() != value:
                (_PROC_SYS / name).write_text(value)
        except FileNotFoundError:  # it went away with a module of the kernel
            continue
        except OSError as error:
            refused[name] = f"the sysctl {name}: {error.strerror}; it was {value}"
    if refused:
        write_record(saved, {name: former[name] for name in refused})
        raise UnfinishedError(refused.values())
    saved.unlink()


def _delete_link(name: str) -> None:
    if any(link["ifname"] == name for link in _links()):
        try:
            run("ip", "link", "delete", name)
        except CommandError:
            if any(link["ifname"] == name for link in _links()):
                raise


def _links(*which: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(run("ip", "-json", "link", "show", *which) or "[]")
    return [link for link in answer if link]  # older versions print empty objects for those they leave out


def _is_pods(destination: str) -> bool:
    return destination != "default" and ipaddress.IPv4Network(destination).subnet_of(ipaddress.IPv4Network(PODS))
