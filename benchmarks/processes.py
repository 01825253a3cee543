"""Programs that run while a benchmark asks them things, and the ports and environments they need."""

import asyncio
import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from devcluster.paths import cache_dir
from devcluster.trees import Trees

BIN = Path(sys.executable).parent
START_SECONDS = 180
STOP_SECONDS = 20


def free_port() -> int:
    """Return a TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(
    command: Sequence[str | Path],
    ready: str,
    body: Any = None,
    environment: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a program while the block runs, from when `ready` answers 200: a GET, or a POST of `body`. Yields its process id."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})}) as running:
        try:
            asyncio.run(_answers(ready, body, headers, running))
            yield running.pid
        finally:
            _end(running)


def environment_of(
    name: str, requirements: Sequence[str], building: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
) -> Path:
    """Return the Python of an environment of a peer's own, made on first use: peers pin other versions than we do.

    `building` are environment variables for what is built from source, `overrides` requirements that go before any other.
    """
    variables = [f"{key}={value}" for key, value in sorted((building or {}).items())]
    key = hashlib.sha256("\n".join([*requirements, *variables, *overrides]).encode()).hexdigest()[:10]
    folder = cache_dir() / "peers" / f"{name}-{key}"
    Trees().note("peers", [(name, folder.name)])
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"making an environment for {name}: {', '.join(requirements)}", flush=True)
        uv = str(cache_dir() / "uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True, timeout=120)
        # Hard links: torch is in uv's cache already, and once on the disk is enough.
        settings = {
            **os.environ,
            **(building or {}),
            "UV_LINK_MODE": "hardlink",
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(cache_dir() / "uv-cache")),
        }
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
        if overrides:
            (folder / "overrides.txt").write_text("\n".join(overrides))
            install += ["--override", str(folder / "overrides.txt")]
        subprocess.run([*install, *requirements], check=True, timeout=1800, env=settings)
        (folder / ".ready").touch()
    return python


def _end(running: "subprocess.Popen[bytes]") -> None:
    running.terminate()
    try:
        running.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:  # not every peer ends when it is told to
        running.kill()


async def _answers(url: str, body: Any, headers: Mapping[str, str] | None, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers=headers) as session:
        while time.monotonic() < deadline:
            if running.poll() is not None:
                raise RuntimeError(f"{running.args!r} ended with {running.returncode} before it answered")
            with contextlib.suppress(aiohttp.ClientError):
                async with session.request("POST" if body else "GET", url, json=body) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")
