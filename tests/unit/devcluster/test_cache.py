"""What `make clean-cache` deletes: all that was put into the cache folder by us, and nothing else that lies there."""

import re
from pathlib import Path

import pytest

from devcluster.cache import PARTS, cache_sizes, clean_cache
from devcluster.errors import DevClusterError
from devcluster.gotools import caches_lock
from devcluster.locks import locked
from devcluster.paths import REPOSITORY, cache_dir

# Of clusters that run; each goes with its cluster, and the command takes that down first.
STATES = {"existing", "kind"}


def test_only_our_parts_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINION_CACHE", str(tmp_path))
    for name in (*PARTS, "somebodys"):
        (tmp_path / name).mkdir()
        if name != "control":
            (tmp_path / name / "file").write_bytes(b"x" * 5000)
    assert cache_sizes().keys() == set(PARTS)
    assert cache_sizes()["tools"] >= 5000
    clean_cache()
    assert [path.name for path in tmp_path.iterdir()] == ["somebodys"]
    clean_cache()


def test_nothing_goes_while_tools_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINION_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    with locked(caches_lock()), pytest.raises(DevClusterError, match="tools are being built"):
        clean_cache()
    assert (tmp_path / "models").exists()
    clean_cache()
    assert list(tmp_path.iterdir()) == []
    tmp_path.rmdir()
    clean_cache()


def test_whatever_is_put_there_is_a_part() -> None:
    sources = [path for folder in ("devcluster", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r'cache_dir\(\) / "([\w-]+)"', path.read_text())}
    assert "tools" in named
    assert named - STATES <= set(PARTS), named - STATES - set(PARTS)


def test_a_folder_has_one_name_whichever_link_leads_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells mounts by the real name, and the owner of a cluster is told by it too."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("PINION_CACHE", str(tmp_path / "link"))
    assert cache_dir() == tmp_path / "real"
    monkeypatch.setenv("PINION_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    assert cache_dir() == tmp_path / "real" / "pinion"
