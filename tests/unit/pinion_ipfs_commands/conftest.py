from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from pinion_ipfs.hub.xet_choice import VARIABLE
from pinion_ipfs.store import Store
from tests.support.environment import environment


@pytest.fixture(autouse=True)
def choice_of_xet() -> Iterator[None]:
    """Take back what a command chooses for its process, which here is that of all tests."""
    with environment(**{VARIABLE: None}):
        yield


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store of the test's own, and leave no daemon to ask."""
    for name in ("KUBO_API", "KUBO_CMD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPFS_PATH", str(tmp_path / "none"))
    # What HF_HOME sets: the hub's library reads it once, when it is imported, which was before this test.
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home/hub"))
    return Store.default()
