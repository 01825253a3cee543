"""Every backend that can be written to, ready for one and the same tests; those of a Kubo share one repository or daemon."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.ipfs_kit import IpfsKit
from pinion_ipfs.backends.kubo_cli import KuboCli
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from tests.support.ipfs_kit import make_ipfs_kit
from tests.support.kubo import IpfsRepo, Kubo, ManagedRepo

Make = Callable[[], Backend]


@dataclass(frozen=True)
class Places:
    """Where the backends of one module keep their content."""

    kubo: Kubo
    repo: IpfsRepo
    home: Path
    kit: Path

    def makers(self, *, rpc_seconds: float = 30.0) -> dict[str, Make]:
        """Return how each writable backend is made; Kubo's API waits so long for a pin that gets no further."""
        program = str(self.repo.binary)
        return {
            "hf_cache": lambda: HfCache("hf_cache", self.home),
            "kubo_rpc": lambda: KuboRpc("kubo_rpc", self.kubo.rpc_url, timeout=rpc_seconds),
            "ipfs_kit": lambda: IpfsKit(paths=[self.kit]),
            "kubo_cli": lambda: KuboCli("kubo_cli", program, repository=self.repo.path),
        }


WRITABLE = ("hf_cache", "kubo_rpc", "kubo_cli")
ADDING = (*WRITABLE, "ipfs_kit")  # the last takes files of one leaf alone


@pytest.fixture(scope="module")
def places(ipfs_binary: Path, managed_repo: ManagedRepo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Yield a daemon that asks for no token, as on a workstation, a repository without one, and a cache."""
    folder = tmp_path_factory.mktemp("places")
    kubo = managed_repo.copy(ipfs_binary, folder / "kubo")
    kubo.ipfs("config", "--json", "API.Authorizations", "null")
    repo = IpfsRepo(ipfs_binary, folder / "repo")
    repo.initialise()
    try:
        kubo.start()
        yield Places(kubo, repo, folder / "home", make_ipfs_kit(folder))
    finally:
        kubo.stop()


@pytest.fixture(params=WRITABLE)
async def backend(request: pytest.FixtureRequest, places: Places) -> AsyncIterator[Backend]:
    """Yield each writable backend."""
    made = places.makers()[request.param]()
    yield made
    await made.close()


@pytest.fixture(params=ADDING)
async def adder(request: pytest.FixtureRequest, places: Places) -> AsyncIterator[Backend]:
    """Yield each backend that files can be added to."""
    made = places.makers()[request.param]()
    yield made
    await made.close()
