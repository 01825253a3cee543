"""NetworkPolicies hold: the kernel asks kube-network-policies, the implementation of SIG Network, about each new connection."""

import json
from pathlib import Path

from ..api import ControlProcesses
from ..commands import CommandError, attempt, run
from ..daemons import Daemons
from ..gotools import POLICIES
from .layout import NODE, PODS, POLICIES_METRICS_PORT, POLICIES_QUEUE
from .network import delete_table, has_table

POLICIES_DAEMON = "kube-network-policies"
POLICIES_TABLE = ("inet", POLICIES_DAEMON)  # the program makes it; it has no flag for the name
_QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")  # a line for each queue that a program reads, its number first

# Where nftables cannot queue (CONFIGQUEUE_RULES), the module of iptables often can. `bypass`: a dead daemon lets all pass.
_MANGLE = ("iptables", "--wait", "--table", "mangle")
_RULE = (
    *("FORWARD", "--source", PODS, "--destination", PODS, "--match", "conntrack", "--ctstate", "NEW"),
    *("--jump", "NFQUEUE", "--queue-num", str(POLICIES_QUEUE), "--queue-bypass"),
)
QUEUE_RULES = f"""
table inet pinion_check {{
  chain c {{
    type filter hook postrouting priority 95; queue num {POLICIES_QUEUE};
  }}
}}
"""


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
    if not attempt("nft", "--check", "--file", "-", input=QUEUE_RULES):
        add_policy_rule()
    daemons.wait_until(_is_read, POLICIES_DAEMON, timeout=60)


def add_policy_rule() -> None:
    """Let iptables ask the daemon about each new connection between pods."""
    run(*_MANGLE, "--append", *_RULE)


def delete_policy_rule() -> None:
    """Delete the rule of iptables as often as it is there; an empty table that iptables made for it goes too."""
    if not _has_rule():
        return
    # Asked first: once the rule is gone, nothing tells any more that the table was made for it.
    is_nft = has_table("ip", "mangle")
    while _has_rule():
        run(*_MANGLE, "--delete", *_RULE)
    if is_nft and not _holds_others():
        delete_table("ip", "mangle")


def _holds_others() -> bool:
    content = json.loads(run("nft", "--json", "list", "table", "ip", "mangle"))["nftables"]
    chains = {one["chain"]["name"] for one in content if "chain" in one}
    return chains != {"FORWARD"} or any("rule" in one for one in content)


def _has_rule() -> bool:
    try:
        run(*_MANGLE, "--check", *_RULE)
    except CommandError as error:
        if error.code != 1:  # this one is "there is no such rule"
            raise
        return False
    return True


def _is_read() -> bool:
    return any(line.split()[0] == str(POLICIES_QUEUE) for line in _QUEUES.read_text().splitlines())
