"""NetworkPolicies hold: the kernel asks kube-network-policies, the implementation of SIG Network, about each new connection."""

from pathlib import Path

from ..api import ControlProcesses
from ..commands import attempt, run
from ..daemons import Daemons
from ..gotools import POLICIES
from .layout import NODE, PODS, POLICIES_METRICS_PORT, POLICIES_QUEUE

POLICIES_DAEMON = "kube-network-policies"
_TABLE = ("inet", POLICIES_DAEMON)  # the program makes it; it has no flag for the name
_QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")  # a line for each queue that a program reads, its number first

# Where nftables cannot queue (CONFIG_NFT_QUEUE), the module of iptables often can. `bypass`: a dead daemon lets all pass.
_MANGLE = ("iptables", "--wait", "--table", "mangle")
_RULE = (
    *("FORWARD", "--source", PODS, "--destination", PODS, "--match", "conntrack", "--ctstate", "NEW"),
    *("--jump", "NFQUEUE", "--queue-num", str(POLICIES_QUEUE), "--queue-bypass"),
)
_NFT_QUEUE = (
    f"table inet pinion_check {{ chain c {{ type filter hook postrouting priority 95; queue num {POLICIES_QUEUE}; }} }}"
)


def start_policies(control: ControlProcesses, daemons: Daemons) -> None:
    """Start the daemon and wait until it reads its queue."""
    kubeconfig = control.user_kubeconfig(POLICIES_DAEMON, f"system:{POLICIES_DAEMON}")
    daemons.start(
        POLICIES_DAEMON,
        [
            POLICIES.program("standard"),
            *("--kubeconfig", kubeconfig, "--hostname-override", NODE),
            *("--nfqueue-id", str(POLICIES_QUEUE), "--metrics-bind-address", f"127.0.0.1:{POLICIES_METRICS_PORT}"),
            *("--disable-nri", "--strict-mode=false"),
        ],
    )
    if not attempt("nft", "--check", "--file", "-", input=_NFT_QUEUE):
        run(*_MANGLE, "--append", *_RULE)
    daemons.wait_until(_is_read, POLICIES_DAEMON, timeout=60)


def stop_policies() -> None:
    """Remove rules and tables; an empty table that iptables made for our rule goes too."""
    attempt("nft", "delete", "table", *_TABLE)
    if not attempt(*_MANGLE, "--check", *_RULE):
        return
    run(*_MANGLE, "--delete", *_RULE)
    alone = attempt("nft", "delete", "chain", "ip", "mangle", "FORWARD")  # refused while it holds rules of others
    if alone and "chain" not in run("nft", "list", "table", "ip", "mangle"):
        run("nft", "delete", "table", "ip", "mangle")


def _is_read() -> bool:
    return any(line.split()[0] == str(POLICIES_QUEUE) for line in _QUEUES.read_text().splitlines())
