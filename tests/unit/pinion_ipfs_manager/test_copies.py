"""How many copies a stored model has: one place is one, whatever it is called."""

from pathlib import Path

import pytest

import pinion_ipfs as ipfs


def test_one_folder_by_two_names_is_one_copy(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    names = [ipfs.HfCache(name, tmp_path / "same") for name in ("one", "two")]
    manager = ipfs.ModelManager(tmp_path / "home", deps=ipfs.RouterDeps(names, replication=2))
    with pytest.raises(ipfs.ReplicationFailed, match="1 of at least 2 backends keep it"):
        manager.store_model_to_ipfs(tmp_path / "config.json")
