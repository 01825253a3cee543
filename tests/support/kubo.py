"""Real Kubo daemons of the built binary, on loopback, configured by the script of managed backends; and the bare program."""

import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster.gotools import KUBO, ensure
from pinion_operator.resources.kubo_configmap import SCRIPT

PROFILE = "unixfs-v1-2025"
ADD = ("add", "-r", "--hidden", "--dereference-symlinks", "--quieter")  # how the address of a model is defined
ANY_PORT = "/ip4/127.0.0.1/tcp/0"
STORAGE_MAX = 4 * 1024**3
START_SECONDS = 60.0  # on a busy machine; 1 to 2 on an idle one
CALL_SECONDS = 240.0


@dataclass
class IpfsRepo:
    """A repository with the profile, and the program that works on it without a daemon."""

    binary: Path
    path: Path

    def ipfs(self, *args: str | Path, input: bytes | None = None) -> str:
        """Run the program and return what it prints, stripped; AssertionError with its complaint when it fails."""
        return self.ipfs_bytes(*args, input=input).decode().strip()

    def ipfs_bytes(self, *args: str | Path, input: bytes | None = None) -> bytes:
        """Run the program and return its output as it is."""
        command = [str(self.binary), *self._global_options(), *map(str, args)]
        done = subprocess.run(
            command, input=input, env=self.environment(), capture_output=True, timeout=CALL_SECONDS, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout

    def add(self, path: Path, *options: str) -> str:
        """Return the CID that `ipfs add` gives a file or directory."""
        return self.ipfs(*ADD, *options, path)

    def environment(self) -> dict[str, str]:
        """Return the environment of the program: nothing of the user's own IPFS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("IPFS_", "LIBP2P_", "KUBO_"))}
        return kept | {"IPFS_PATH": str(self.path), "IPFS_TELEMETRY": "off", "HOME": str(self.path)}

    def _global_options(self) -> tuple[str, ...]:
        return ()

    def initialise(self) -> None:
        """Make the repository."""
        self.ipfs("init", f"--profile={PROFILE},test")


@dataclass
class Kubo(IpfsRepo):
    """A running daemon. `token` may do what pods may, `operator_token` everything."""

    token: str
    operator_token: str
    rpc_url: str = ""
    gateway_url: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        """Return the daemon's log."""
        return self.path / "daemon.log"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"LIBP2P_FORCE_PNET": "1"}

    def _global_options(self) -> tuple[str, ...]:
        running = self.process is not None and self.process.poll() is None
        return ("--api-auth", f"bearer:{self.operator_token}") if running else ()

    def start(self) -> None:
        """Start the daemon and wait until its RPC answers; its ports change with each start."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "daemon", "--migrate=false"], env=self.environment(), stdout=log, stderr=subprocess.STDOUT
            )
        limit = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > limit:
                self.stop()
                raise RuntimeError(f"the Kubo daemon did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        api, gateway = self.path / "api", self.path / "gateway"
        if not api.exists() or not gateway.exists():
            return False
        _, _, host, _, port = api.read_text().strip().split("/")
        self.rpc_url, self.gateway_url = f"http://{host}:{port}", gateway.read_text().strip()
        request = urllib.request.Request(
            f"{self.rpc_url}/api/v0/version", method="POST", headers={"Authorization": f"Bearer {self.operator_token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End the daemon and wait until it is gone."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        for name in ("api", "gateway"):  # a killed daemon leaves them
            (self.path / name).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def ipfs_binary() -> Path:
    """Return the Kubo program, built when it is not there."""
    ensure([KUBO])
    return KUBO.program("ipfs")


@pytest.fixture(scope="session")
def ipfs_offline(ipfs_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> IpfsRepo:
    """Return a repository without a daemon: the oracle of addresses. It grows with what tests add, so prefer `--only-hash`."""
    repo = IpfsRepo(ipfs_binary, tmp_path_factory.mktemp("ipfs") / "repo")
    repo.initialise()
    return repo


@dataclass(frozen=True)
class ManagedRepo:
    """A repository as the script of managed backends makes it, and its two tokens; daemons run on copies."""

    path: Path
    client_token: str
    operator_token: str

    def copy(self, binary: Path, path: Path) -> Kubo:
        """Return a daemon, not started, on a copy at `path`."""
        shutil.copytree(self.path, path)
        return Kubo(binary, path, self.client_token, self.operator_token)


@pytest.fixture(scope="session")
def managed_repo(ipfs_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> ManagedRepo:
    """Return a repository made by the very script that a managed backend's pod runs."""
    folder = tmp_path_factory.mktemp("managed-kubo")
    repo = ManagedRepo(folder / "repo", secrets.token_hex(16), secrets.token_hex(16))
    given = folder / "secrets"
    given.mkdir()
    (given / "client-token").write_text(repo.client_token)
    (given / "operator-token").write_text(repo.operator_token)
    (given / "swarm.key").write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n")
    script = folder / "configure.sh"
    script.write_text(SCRIPT)
    environment = IpfsRepo(ipfs_binary, repo.path).environment() | {
        "PATH": f"{ipfs_binary.parent}:{os.environ['PATH']}",
        "SECRETS": str(given),
        "RPC_ADDRESS": ANY_PORT,
        "GATEWAY_ADDRESS": ANY_PORT,
        "STORAGE_MAX": str(STORAGE_MAX),
        "HOME": str(folder),
    }
    done = subprocess.run(
        ["/bin/sh", script], env=environment, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return repo


@pytest.fixture
def kubo(ipfs_binary: Path, managed_repo: ManagedRepo, tmp_path: Path) -> Iterator[Kubo]:
    """Yield a daemon of the test's own."""
    daemon = managed_repo.copy(ipfs_binary, tmp_path / "kubo")
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
