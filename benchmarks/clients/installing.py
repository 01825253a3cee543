"""Throw-away environments of clients, caches included; each function returns the command that runs one of the programs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.paths import cache_dir

PROGRAMS = Path(__file__).parent / "programs"
INSTALL_SECONDS = 1800  # openai-go takes minutes to compile on a busy machine

Install = Callable[[Path], list[str]]


@dataclass(frozen=True)
class Installed:
    """A client with its versions; without packages it belongs to the JDK."""

    name: str
    packages: tuple[str, ...]  # as pip or npm takes them
    install: Install

    @property
    def versions(self) -> str:
        """Each package and its version, as the table has them; empty for the JDK."""
        return ", ".join(re.sub(r"==|(?<=\w)@", " ", package) for package in self.packages)


class NotInstalled(Exception):
    """The client can't be tried here; the message says why."""


def python(program: str, *requirements: str) -> Install:
    """Return what makes a virtual environment for a program in Python."""

    def install(folder: Path) -> list[str]:
        uv, interpreter = str(cache_dir() / "uv" / "bin" / "uv"), str(folder / "bin" / "python")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], folder)
        _run([uv, "pip", "install", "--quiet", "--python", interpreter, *requirements], folder)
        return [interpreter, str(PROGRAMS / program)]

    return install


def node(program: str, *packages: str) -> Install:
    """Return what installs packages of npm beside a program in JavaScript."""

    def install(folder: Path) -> list[str]:
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        cache = f"--cache={folder / 'cache'}"
        _run([_tool("npm"), "install", "--silent", "--no-audit", "--no-fund", cache, *packages], folder)
        shutil.copy(PROGRAMS / program, folder)
        return [_tool("node"), str(folder / Path(program).name)]

    return install


def java(main: str) -> Install:
    """Return what compiles the programs in Java, with the versions of their pom.xml."""

    def install(folder: Path) -> list[str]:
        shutil.copytree(PROGRAMS / "java", folder, dirs_exist_ok=True)
        goals = ["compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"]
        _run([_tool("mvn"), "-q", "-B", f"-Dmaven.repo.local={folder / 'repository'}", *goals], folder)
        return [_tool("java"), "-cp", f"{folder / 'target' / 'classes'}:{(folder / 'classpath').read_text()}", main]

    return install


def jdk_version() -> str:
    """Return what `java -version` calls itself, or that there is none."""
    if (program := shutil.which("java")) is None:
        return "(none)"
    said = subprocess.run([program, "-version"], stderr=subprocess.PIPE, text=True, check=True, timeout=60).stderr
    return said.split('"')[1]  # openjdk version "17.0.15" 2025-04-15


def go() -> Install:
    """Return what compiles the program in Go, with the versions of its go.mod."""

    def install(folder: Path) -> list[str]:
        shutil.copytree(PROGRAMS / "go", folder, dirs_exist_ok=True)
        caches = {"GOCACHE": str(folder / "cache"), "GOMODCACHE": str(folder / "modules"), "GOFLAGS": "-modcacherw"}
        _run([_tool("go"), "build", "-o", "client", "."], folder, caches)
        return [str(folder / "client")]

    return install


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotInstalled(f"there is no {name} here")
    return found


def _run(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> None:
    environment = {**os.environ, **(more or {})}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, env=environment)
    if done.returncode:
        raise NotInstalled(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
