"""The rules that the node hands to nftables are ones that it reads."""

import pytest

from devcluster.commands import run
from devcluster.local.network import guard_rules
from devcluster.local.packages import ensure_packages
from devcluster.local.policies import QUEUE_RULES

# Not every kernel can queue: that is what they are checked for, and all around it must be right everywhere.
RULES = {"guard": guard_rules(), "queue": QUEUE_RULES.replace("queue num 213", "counter")}


@pytest.mark.parametrize("name", RULES)
def test_nftables_reads_them(name: str) -> None:
    ensure_packages()
    run("nft", "--check", "--file", "-", input=RULES[name])
