"""all-MiniLM-L6-v2 over HTTP, float32 on a CPU: `pinion-serve` against sentence-transformers behind uvicorn."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from devcluster.hubmirror.models import MINILM, assemble

BIN = Path(sys.executable).parent
PEERS = Path(__file__).parent / "peers"
TEXT = "the quick brown fox jumps over a lazy dog while seven wizards quietly forge new rings under the old mountain"
WORDS = TEXT.split(" ")
SHORT = [" ".join(WORDS[i % 7 : i % 7 + 6 + i % 6]) for i in range(64)]
MIXED = [" ".join(WORDS * (1 + (i * i) % 12)) for i in range(64)]
SECONDS = 6.0
LOADS = (("short", SHORT, 1), ("short", SHORT, 8), ("short", SHORT, 32), ("mixed", MIXED, 8))


def run() -> None:
    """Print sequences per second of both, side by side, and the ratio, for each load."""
    with tempfile.TemporaryDirectory() as work:
        assemble(Path(work) / "hub")
        with _pinion(Path(work)) as ours, _peer(Path(work)) as theirs:
            for name, texts, streams in LOADS:
                rates = [asyncio.run(_load(url, texts, streams)) for url in (ours, theirs, ours, theirs)]  # alternating
                pinion, peer = max(rates[::2]), max(rates[1::2])
                print(
                    f"{name:5} {streams:2} in flight: pinion-serve {pinion:6.0f}/s, "
                    f"sentence-transformers {peer:6.0f}/s, ratio {pinion / peer:.2f}",
                    flush=True,
                )


async def _load(url: str, texts: list[str], streams: int) -> float:
    """Send one text per request on so many connections for a fixed time; return answers per second."""
    done, end = 0, time.perf_counter() + SECONDS
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=streams)) as session:

        async def stream(first: int) -> None:
            nonlocal done
            number = first
            while time.perf_counter() < end:
                body = {"model": MINILM, "input": [texts[number % len(texts)]]}
                async with session.post(f"{url}/v1/embeddings", json=body) as answer:
                    answer.raise_for_status()
                    await answer.read()
                number, done = number + streams, done + 1

        started = time.perf_counter()
        await asyncio.gather(*(stream(i) for i in range(streams)))
    return done / (time.perf_counter() - started)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _pinion(work: Path) -> Iterator[str]:
    hub, port, management = _free_port(), _free_port(), _free_port()
    mirror = [sys.executable, "-m", "devcluster.hubmirror", "--root", str(work / "hub"), "--port", str(hub)]
    serve = [
        str(BIN / "pinion-serve"), MINILM, "--endpoint", f"http://127.0.0.1:{hub}", "--cache-dir", str(work / "cache"),
        "--port", str(port), "--management-port", str(management),
    ]  # fmt: skip
    with _process(mirror, f"http://127.0.0.1:{hub}/-/stats"), _process(serve, f"http://127.0.0.1:{management}/readyz"):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _peer(work: Path) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, str(PEERS / "sentence_transformers_server.py"), str(work / "hub" / MINILM), str(port)]
    with _process(command, f"http://127.0.0.1:{port}/", body={"input": ["ready?"]}):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _process(command: list[str], ready: str, body: Any = None) -> Iterator[None]:
    """Run a program while the block runs, from when `ready` answers 200."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            asyncio.run(_answers(ready, body))
            yield
        finally:
            process.terminate()


async def _answers(url: str, body: Any) -> None:
    deadline = time.monotonic() + 180
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.request("POST" if body else "GET", url, json=body) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")
