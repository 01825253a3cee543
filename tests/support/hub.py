"""The hub mirror as a process of its own on loopback, serving all-MiniLM-L6-v2, a gated and a broken repository."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from devcluster.hubmirror.models import BROKEN, GATED, GATED_TOKEN, MINILM, assemble

PROJECT = Path(__file__).parents[2]
LIBRARY_SECONDS = 60


@dataclass
class Hub:
    """A running mirror; put a folder `<org>/<name>` below `root` and it is a repository."""

    endpoint: str
    root: Path
    process: subprocess.Popen[str]
    minilm: str = MINILM
    gated: str = GATED
    gated_token: str = GATED_TOKEN
    broken: str = BROKEN

    def stats(self) -> dict[str, Any]:
        """Return the counts: {"repos": {repo: {...}}, "api_requests", "file_heads", "file_gets", "bytes"}."""
        with urllib.request.urlopen(f"{self.endpoint}/-/stats", timeout=60) as answer:
            stats: dict[str, Any] = json.load(answer)
        return stats

    def repo_stats(self, repo: str) -> dict[str, Any]:
        """Return the counts of one repository, {} when it was never asked for."""
        stats: dict[str, Any] = self.stats()["repos"].get(repo, {})
        return stats

    def add_repo(self, repo: str, files: dict[str, bytes]) -> Path:
        """Write a repository's files and return its folder."""
        folder = self.root / repo
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    def configure(self, repo: str, **settings: object) -> None:
        """Replace a repository's `.mirror.json`, whose keys are those of `devcluster.hubmirror.repository.Settings`."""
        (self.root / repo / ".mirror.json").write_text(json.dumps(settings))

    def order(self, repo: str, *faults: dict[str, object], **settings: object) -> None:
        """Order faults of a repository, as `devcluster.hubmirror.faults.Fault` has them."""
        self.configure(repo, faults=list(faults), **settings)


def start_hub(root: Path, rate: int = 0) -> Hub:
    """Start a mirror over `root` on a free port and wait for its address."""
    command = [sys.executable, "-m", "devcluster.hubmirror", "--root", str(root), "--port", "0", "--rate", str(rate)]
    # The pipe on its standard input ends with us: a killed test session leaves no mirror behind.
    process = subprocess.Popen([*command, "--until-eof"], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if " on http://" not in line:
        process.kill()
        _release(process)
        raise RuntimeError(f"the hub mirror did not start: {line!r}")
    return Hub(endpoint=line.rsplit(" ", 1)[1].strip(), root=root, process=process)


def stop_hub(hub: Hub) -> None:
    """Stop a mirror and wait for its end."""
    os.kill(hub.process.pid, signal.SIGTERM)
    _release(hub.process)


def _release(process: subprocess.Popen[str]) -> None:
    """Wait for a process that is about to end, and close its pipes."""
    process.wait(timeout=60)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Yield one mirror for the session; tests that change a repository use a name of their own.

    The hub's own library waits for it as long as a busy machine takes: by itself it gives up after 10 s.
    """
    root = tmp_path_factory.mktemp("hub")
    assemble(root)
    running = start_hub(root)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
                patch.setattr(constants, name, LIBRARY_SECONDS)
            yield running
    finally:
        stop_hub(running)


@pytest.fixture
def slow_hub(tmp_path: Path) -> Iterator[Hub]:
    """Yield a private, empty mirror that sends 2 MB/s, for tests of progress, stalls and kills."""
    root = tmp_path / "slow-hub"
    root.mkdir()
    running = start_hub(root, rate=2_000_000)
    try:
        yield running
    finally:
        stop_hub(running)
