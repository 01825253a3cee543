"""A llama of 33 M parameters over HTTP, bfloat16 on a CPU: `pinion-serve` beside servers that people use, one at a time."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from .generating import llama_cpp, report
from .generating.llama import make_llama, words
from .generating.loads import LOADS, MIXED, PROBE, SHORT, Load
from .generating.servers import llama_server, pinion, transformers_serve, vllm_serve
from .generating.streams import Endpoint
from .generating.timing import Disturbed, Result, disturb, first_answers, send

Server = Callable[[Path], AbstractContextManager[Endpoint]]
SERVERS: dict[str, Server] = {
    report.OURS: pinion,
    report.TRANSFORMERS: transformers_serve,
    "vLLM": vllm_serve,
    "llama.cpp": llama_server,
}
ROUNDS = 2
SECONDS = 4.0  # of each load
WARM_UP = tuple(replace(load, name=f"{load.name}, warm-up") for load in (MIXED[-1], SHORT[-1], SHORT[0]))  # other prompts
WARM_UP_SECONDS = 2.0


def run() -> None:
    """Print tokens per second and latency for each load and server, and what is kept of the limits."""
    results: dict[tuple[str, Load], list[Result]] = {}
    disturbed: dict[str, list[Disturbed]] = {}
    starts: dict[str, list[float]] = {}
    texts: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "llama"
        make_llama(folder)
        known, servers = words(folder), _servers()
        for _ in range(ROUNDS):  # the servers in turn, so that a noisy minute does not hit one of them alone
            for name, server in servers.items():
                with server(folder) as endpoint:
                    starts.setdefault(name, []).append(endpoint.start_seconds)
                    texts[name] = asyncio.run(first_answers(endpoint, PROBE, known))
                    for load in WARM_UP:
                        asyncio.run(send(endpoint, load, known, WARM_UP_SECONDS))
                    for load in LOADS:
                        results.setdefault((name, load), []).append(asyncio.run(send(endpoint, load, known, SECONDS)))
                    disturbed.setdefault(name, []).append(asyncio.run(disturb(endpoint, known)))
    report.tables(list(servers), results)
    report.agreement(texts)
    report.ratios(list(servers), results)
    report.disturbances(disturbed)
    report.starts(starts)


def _servers() -> dict[str, Server]:
    try:
        llama_cpp.built()
    except llama_cpp.NotBuilt as error:
        print(f"llama.cpp is left out: {error}", flush=True)
        return {name: server for name, server in SERVERS.items() if server is not llama_server}
    return SERVERS
