"""What goes from the cache by itself, and what never does: what a tree wants, what runs, what is just being made."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devcluster import gotools, limits
from devcluster.locks import locked
from devcluster.paths import cache_dir
from devcluster.sizes import folder_size
from devcluster.tidy import tell_excess, tidy
from devcluster.trees import Trees

MEGABYTE = 1_000_000
UV = cache_dir() / "uv" / "bin" / "uv"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache folder of the test's own, with limits of 10 MB for each part."""
    monkeypatch.setenv("PINION_CACHE", str(tmp_path / "cache"))
    for name in limits.PARTS:
        monkeypatch.setitem(limits.PARTS, name, 10 * MEGABYTE)
    monkeypatch.setattr(limits, "TOTAL", 40 * MEGABYTE)  # the real one is gigabytes, which no test should fill
    for variable in ("GOMODCACHE", "GOCACHE", "UV_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "cache"


def fill(folder: Path, megabytes: float = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file").write_bytes(os.urandom(int(megabytes * MEGABYTE)))
    return folder


def other_tree(folder: Path) -> Trees:
    (folder / "devcluster").mkdir(parents=True)
    return Trees(tree=folder)


def build_all_tools() -> None:
    for tool in gotools.TOOLS.values():
        tool.bin.mkdir(parents=True)
        for package in tool.packages:
            tool.program(gotools.binary(package)).touch()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def running(program: Path) -> Iterator[None]:
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(shutil.which("sleep") or "sleep", program)
    with subprocess.Popen([program, "600"]) as process:
        try:
            yield
        finally:
            process.kill()


def test_versions_of_tools_go_when_no_tree_wants_them(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kubo-1", "kubo-2", "kubo-3"):
        fill(cache / "tools" / name)
    Trees().note("tools", [("kubo", "kubo-3")])
    other = other_tree(tmp_path / "other")
    other.note("tools", [("kubo", "kubo-2")])
    tidy()
    assert names(cache / "tools") == ["kubo-2", "kubo-3"]
    assert capsys.readouterr().out == "cache: tools/kubo-1, 0.0 GB, deleted: no tree uses this version\n"
    shutil.rmtree(tmp_path / "other")
    tidy()
    assert names(cache / "tools") == ["kubo-3"]


def test_a_tool_that_runs_or_is_being_built_stays(cache: Path) -> None:
    fill(cache / "tools" / "built-1")
    with running(cache / "tools" / "runs-1" / "bin" / "etcd"), locked(cache / "tools" / "built-1.lock"):
        tidy()
        assert names(cache / "tools") == ["built-1", "built-1.lock", "runs-1"]
    tidy()
    assert names(cache / "tools") == []


def test_what_a_killed_build_left_goes_and_what_a_build_has_now_stays(cache: Path) -> None:
    with subprocess.Popen(["true"]) as done:
        done.wait()
    fill(cache / "tools" / f"kubo-0.42.0.{done.pid}.tmp")
    fill(cache / "tools" / f"etcd-3.6.12.{os.getppid()}.tmp")
    tidy()
    assert names(cache / "tools") == [f"etcd-3.6.12.{os.getppid()}.tmp"]


def test_beyond_the_limit_versions_of_trees_that_were_idle_longest_go(cache: Path, tmp_path: Path) -> None:
    fill(cache / "tools" / "kubo-1", 6)
    fill(cache / "tools" / "kubo-2", 6)
    other_tree(tmp_path / "other").note("tools", [("kubo", "kubo-1")])
    Trees().note("tools", [("kubo", "kubo-2")])
    tidy()
    assert names(cache / "tools") == ["kubo-2"]


def test_caches_of_go_go_when_all_tools_are_built(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(cache / "go" / "modules", 11)
    fill(cache / "go" / "build", 9)
    Trees().note("tools", [(tool.name, f"{tool.name}-{tool.version}") for tool in gotools.TOOLS.values()])
    tidy()
    assert names(cache / "go") == ["build", "modules"], "some tool is not built yet"
    build_all_tools()
    with locked(gotools.caches_lock()):
        tidy()
    assert names(cache / "go") == ["build", "modules"], "somebody builds"
    tidy()
    assert names(cache / "go") == ["build"], "the other one is within the limit"

    theirs = fill(tmp_path / "theirs", 11)
    fill(cache / "go" / "modules", 11)
    monkeypatch.setenv("GOMODCACHE", str(theirs))
    tidy()
    assert names(theirs) == ["file"]
    assert names(cache / "go") == ["build", "modules"], "whoever has caches of their own has not said that ours may go"


def test_the_newest_evidence_stays(cache: Path) -> None:
    for day in (1, 2, 3):
        fill(cache / "evidence" / f"2026010{day}-000000-e2e", 4)
    tidy()
    assert names(cache / "evidence") == ["20260102-000000-e2e", "20260103-000000-e2e"]
    fill(cache / "evidence" / "20260104-000000-e2e", 30)
    tidy()
    assert names(cache / "evidence") == ["20260104-000000-e2e"]


def test_environments_of_peers_go_when_no_tree_wants_them(cache: Path) -> None:
    for name in ("tei-1", "tei-2", "vllm-1"):
        fill(cache / "peers" / name)
    Trees().note("peers", [("tei", "tei-2")])
    with running(cache / "peers" / "vllm-1" / "bin" / "python"):
        tidy()
    assert names(cache / "peers") == ["tei-2", "vllm-1"]


def install_a_package(folder: Path, cache: Path, megabytes: int) -> None:
    """Install a package of our own by uv, which keeps its content in its cache."""
    wheel = folder / "thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr("thing/data", os.urandom(megabytes * MEGABYTE))
        content.writestr("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
        content.writestr(
            "thing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        content.writestr("thing-1.dist-info/RECORD", "thing/data,,\nthing-1.dist-info/RECORD,,\n")
    command = [UV, "pip", "install", "--quiet", "--offline", "--target", folder / "target", "--cache-dir", cache, wheel]
    subprocess.run(command, check=True, timeout=60)


def test_packages_beyond_the_limit_go(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the real uv, which knows what nothing refers to, and whether somebody installs from there."""
    (cache / "uv" / "bin").mkdir(parents=True)
    (cache / "uv" / "bin" / "uv").symlink_to(UV)
    install_a_package(tmp_path, cache / "uv-cache", 8)
    tidy()
    assert folder_size(cache / "uv-cache") > 8 * MEGABYTE, "within the limit"
    fill(cache / "uv-cache" / "archive-v0" / "nobodys", 9)
    tidy()
    assert 8 * MEGABYTE < folder_size(cache / "uv-cache") < 10 * MEGABYTE, "what is referred to stays as long as that is enough"
    install_a_package(tmp_path, cache / "uv-cache", 11)
    tidy()
    assert folder_size(cache / "uv-cache") < MEGABYTE
    assert "cache: uv-cache, 0.0 GB of 0.0 GB, deleted by uv\n" in capsys.readouterr().out


def test_nothing_is_needed_to_tidy_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tidy()
    tell_excess()
    assert capsys.readouterr().out == ""
    assert not cache.exists()


def test_a_part_that_cannot_be_tidied_keeps_no_other_from_it(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(cache / "uv-cache", 11)
    fill(cache / "peers" / "tei-1")
    (cache / "uv" / "bin").mkdir(parents=True)
    (cache / "uv" / "bin" / "uv").write_text("#!/bin/sh\necho somebody installs >&2\nexit 2\n")
    (cache / "uv" / "bin" / "uv").chmod(0o755)
    tidy()
    assert names(cache / "peers") == []
    said = capsys.readouterr().out
    assert said.startswith("cache: uv-cache was not tidied: 0.0 GB, and `")
    assert "failed (2): somebody installs" in said


def test_what_is_beyond_is_told_in_one_line(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(cache / "local", 30)
    fill(cache / "uv-cache", 8)
    tell_excess()
    assert capsys.readouterr().out == "", "within the limit"
    fill(cache / "models", 5)
    # A peer's environment holds the packages that uv keeps by hard links: they take no room of their own.
    (cache / "peers").mkdir()
    (cache / "peers" / "file").hardlink_to(cache / "uv-cache" / "file")
    tell_excess()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"cache: 0.0 GB in {cache}, and 0.0 GB are meant to be enough: `make clean-cache` deletes it (local "
    )
    assert "uv-cache" in line
    assert "peers" not in line
