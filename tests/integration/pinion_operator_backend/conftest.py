"""A real Kubo, configured by the very script that the ConfigMap holds."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinion_operator.resources.kubo_configmap import SCRIPT
from pinion_operator.resources.kubo_secret import Credentials, format_swarm_key
from tests.support.ports import free_port


def make_credentials() -> Credentials:
    return Credentials(format_swarm_key(secrets.token_bytes(32)), secrets.token_hex(32), secrets.token_hex(32))


@dataclass
class ManagedKubo:
    """What the pod of a managed Kubo does: the init container's script, then the daemon, in one folder."""

    binary: Path
    root: Path
    credentials: Credentials = field(default_factory=make_credentials)
    rpc_port: int = field(default_factory=free_port)
    gateway_port: int = field(default_factory=free_port)
    more_addresses: str = ""  # a multiaddr with %d for the port, beside 127.0.0.1
    variables: dict[str, str] = field(default_factory=dict)  # of the script
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.rpc_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.binary.parent}:{os.environ['PATH']}",
            "HOME": str(self.root / "home"),
            "IPFS_PATH": str(self.root / "data" / "ipfs"),
            "IPFS_TELEMETRY": "off",
        }

    def addresses(self, port: int) -> str:
        more = f" {self.more_addresses.replace('%d', str(port))}" if self.more_addresses else ""
        return f"/ip4/127.0.0.1/tcp/{port}{more}"

    def configure(self) -> None:
        folder = self.root / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        (self.root / "data").mkdir(exist_ok=True)
        (folder / "swarm.key").write_text(self.credentials.swarm_key)
        (folder / "operator-token").write_text(self.credentials.operator_token)
        (folder / "client-token").write_text(self.credentials.client_token)
        script = self.root / "configure.sh"
        script.write_text(SCRIPT)
        environment = self.environment() | {
            "SECRETS": str(folder),
            "RPC_ADDRESS": self.addresses(self.rpc_port),
            "GATEWAY_ADDRESS": self.addresses(self.gateway_port),
            "STORAGE_MAX": "1000000000",
            **self.variables,
        }
        done = subprocess.run(["/bin/sh", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        environment = self.environment() | {"LIBP2P_FORCE_PNET": "1"}
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "daemon", "--migrate=true"], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 60
        while not self.is_up():
            assert self.process.poll() is None, (self.root / "log").read_text()
            assert time.monotonic() < deadline, (self.root / "log").read_text()
            time.sleep(0.05)

    def is_up(self) -> bool:
        """What the pod's probes ask, and the RPC port."""
        try:
            self.call("version", "")
            return httpx.get(f"{self.gateway_url}/ipfs/bafkqaaa", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """What the kernel does to a pod that takes too much memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=60)
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None

    def call(self, command: str, token: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.post(f"{self.rpc_url}/api/v0/{command}", headers=headers, timeout=20, **options)


@pytest.fixture
def managed_kubo(ipfs_binary: Path, tmp_path: Path) -> Iterator[ManagedKubo]:
    kubo = ManagedKubo(ipfs_binary, tmp_path)
    try:
        yield kubo
    finally:
        kubo.stop()


@pytest.fixture
def running_kubo(managed_kubo: ManagedKubo) -> ManagedKubo:
    managed_kubo.configure()
    managed_kubo.start()
    return managed_kubo
