"""Kubo daemons on loopback for as long as a benchmark asks them; they talk to nobody else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..measure import measure
from ..processes import free_port, process
from .folder import ipfs, make_repository


@dataclass(frozen=True)
class Daemon:
    """A running daemon."""

    environment: dict[str, str]  # for `ipfs` commands
    gateway: str  # URL
    address: str  # of its swarm, with the peer ID

    def ipfs(self, *arguments: str) -> str:
        """Run an `ipfs` command against it and return what it prints, stripped."""
        return measure([ipfs(), *arguments], self.environment).output.strip()


@contextmanager
def daemon(path: Path) -> Iterator[Daemon]:
    """Run a daemon with a new repository at `path`, without routing and bootstrap nodes."""
    environment = make_repository(path)
    api, gateway, swarm = free_port(), free_port(), free_port()
    settings = {
        "Addresses.API": f"/ip4/127.0.0.1/tcp/{api}",
        "Addresses.Gateway": f"/ip4/127.0.0.1/tcp/{gateway}",
        "Addresses.Swarm": [f"/ip4/127.0.0.1/tcp/{swarm}"],
        "Routing.Type": "none",
        "AutoTLS.Enabled": False,
        "AutoConf.Enabled": False,
        "Bootstrap": [],
        "DNS.Resolvers": {},
        "Routing.DelegatedRouters": [],
        "Ipns.DelegatedPublishers": [],
        "Gateway.NoFetch": True,
    }
    for name, value in settings.items():
        measure([ipfs(), "config", "--json", name, json.dumps(value)], environment)
    with process([ipfs(), "daemon", "--migrate=false"], f"http://127.0.0.1:{gateway}/ipfs/bafkqaaa", environment=environment):
        peer = measure([ipfs(), "id", "--format=<id>"], environment).output.strip()
        yield Daemon(environment, f"http://127.0.0.1:{gateway}", f"/ip4/127.0.0.1/tcp/{swarm}/p2p/{peer}")
