"""CoreDNS is compiled with the plugins that the cluster's Corefile names, and with no other."""

import re

from devcluster import manifests
from devcluster.gotools import COREDNS


def test_coredns_has_the_plugins_of_the_corefile() -> None:
    text = manifests.render("coredns.yaml", image="i", address="192.0.2.1", domain="cluster.local")
    _, _, corefile = text.partition("  Corefile: |\n")
    named = re.findall(r"^ {6}(\w+)", corefile.partition("\n---")[0], re.MULTILINE)
    built = re.findall(r'^import _ "github\.com/coredns/coredns/plugin/(\w+)"$', COREDNS.source, re.MULTILINE)
    assert "kubernetes" in named
    assert sorted(built) == sorted(named)
