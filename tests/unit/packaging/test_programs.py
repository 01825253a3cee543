"""The programs without the packages of their extras: help works, anything else is one sentence on what to install."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {
    extra: [re.split(r"[^A-Za-z0-9_.-]", need, maxsplit=1)[0] for need in PROJECT["optional-dependencies"][extra]]
    for extra in ("operator", "runtime")  # [container] has no package that is imported
}
SCRIPTS = Path(sys.executable).parent
# Each way to start a program of ours: what it says its name is, and the extra that it needs.
PROGRAMS = {
    "pinion-serve": ([str(SCRIPTS / "pinion-serve")], "pinion-serve", "runtime"),
    "python -m pinion_runtime": ([sys.executable, "-m", "pinion_runtime"], "pinion-serve", "runtime"),
    "python -m pinion_operator": ([sys.executable, "-m", "pinion_operator"], "pinion_operator", "operator"),
    "pinion-ipfs": ([str(SCRIPTS / "pinion-ipfs")], "pinion-ipfs", ""),
    "python -m pinion_ipfs": ([sys.executable, "-m", "pinion_ipfs"], "pinion-ipfs", ""),
}
NEEDY = {name: program for name, program in PROGRAMS.items() if program[2]}

# Python runs this before anything else: the packages are as if nobody had installed them.
HIDING = """
import importlib.machinery, sys

class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden!r} else super().find_spec(name, path, target)

sys.meta_path = [Finder if one is importlib.machinery.PathFinder else one for one in sys.meta_path]
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def start(*command: str, hidden: list[str]) -> subprocess.CompletedProcess[str]:
        (tmp_path / "sitecustomize.py").write_text(HIDING.format(hidden=set(hidden)))
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HF_HOME": str(tmp_path / "hf")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return start


ALL = [name for names in EXTRAS.values() for name in names]


def test_the_packages_are_hidden(run: Run) -> None:
    for name in ALL:
        done = run(sys.executable, "-c", f"import {name.replace('-', '_')}", hidden=ALL)
        assert f"ModuleNotFoundError: No module named '{name}'" in done.stderr, "else the tests below show nothing"


@pytest.mark.parametrize("hidden", [[], ALL], ids=["with the extras", "without"])
@pytest.mark.parametrize(("command", "name", "_"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_help_and_version_need_no_extra(run: Run, command: list[str], name: str, _: str, hidden: list[str]) -> None:
    done = run(*command, "--version", hidden=hidden)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name} {PROJECT['version']}\n", "")
    for flag in ("--help", "-h"):
        done = run(*command, flag, hidden=hidden)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--version" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["org/model"], ["--no-such-flag"]], ids=["nothing", "a model", "a wrong flag"])
@pytest.mark.parametrize(("command", "name", "extra"), NEEDY.values(), ids=NEEDY.keys())
def test_without_its_extra_a_program_says_what_to_install(
    run: Run, command: list[str], name: str, extra: str, arguments: list[str]
) -> None:
    done = run(*command, *arguments, hidden=EXTRAS[extra])
    (sentence,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence.startswith(f"{name}: not installed: ")
    assert sentence.endswith(f"pip install '{PROJECT['name']}[{extra}]'")


MISSING = [(name, package) for name, (_, _, extra) in NEEDY.items() for package in EXTRAS[extra]]


@pytest.mark.parametrize(("program", "package"), MISSING, ids=[" without ".join(pair) for pair in MISSING])
def test_one_missing_package_is_named(run: Run, program: str, package: str) -> None:
    command, name, extra = PROGRAMS[program]
    done = run(*command, "org/model", hidden=[package])
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert done.stderr.startswith(f"{name}: not installed: {package} (extra [{extra}]): pip install ")


def test_a_package_that_is_too_old_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, but has not the module that we need."""
    (tmp_path / "kubernetes").mkdir()
    (tmp_path / "kubernetes/__init__.py").touch()
    monkeypatch.setenv("PINION_RUNTIME_IMAGE", "r:1")
    monkeypatch.setenv("PINION_KUBO_IMAGE", "k:1")
    done = run(*PROGRAMS["python -m pinion_operator"][0], hidden=[])
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert done.stderr.startswith("pinion_operator: not installed: kubernetes.aio (")


def test_pinion_ipfs_needs_no_extra(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_text("a")
    command, *_ = PROGRAMS["pinion-ipfs"]
    done = run(*command, "add", "--only-hash", str(tmp_path / "folder"), hidden=ALL)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(*command, "fetch", "--offline", "org/model", hidden=ALL)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
