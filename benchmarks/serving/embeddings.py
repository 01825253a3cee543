"""all-MiniLM-L6-v2 over HTTP, float32 on a CPU: `pinion-serve` beside servers that people use, each alone on the machine."""

import asyncio
import statistics
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from devcluster.hubmirror.models import assemble

from .loads import LOADS, Result, send
from .servers import Endpoint, infinity, mosec, pinion, sentence_transformers
from .where import where_time_goes

Server = Callable[[Path], AbstractContextManager[Endpoint]]
SERVERS: dict[str, Server] = {
    "pinion-serve": pinion,
    "sentence-transformers + uvicorn": sentence_transformers,
    "mosec, 2 workers": mosec,
    "infinity": infinity,
}
ROUNDS = 2


def run() -> None:
    """Print texts per second and latency for each load and server, our ratio to the best peer, and where our time goes."""
    breakdown = ""
    results: dict[tuple[str, str], list[Result]] = {}
    with tempfile.TemporaryDirectory() as work:
        assemble(Path(work) / "hub")
        for _ in range(ROUNDS):  # the servers in turn, so that a noisy minute does not hit one of them alone
            for name, server in SERVERS.items():
                with server(Path(work)) as endpoint:
                    asyncio.run(send(endpoint.url, LOADS[-1], seconds=2))  # warm
                    for load in LOADS:
                        results.setdefault((name, load.name), []).append(asyncio.run(send(endpoint.url, load)))
                    if endpoint.management:
                        breakdown = where_time_goes(endpoint.management)
    for load in LOADS:
        print(f"{load.name}:")
        best = {name: max(results[name, load.name], key=lambda result: result.rate) for name in SERVERS}
        for name, result in best.items():
            spread = statistics.pstdev([one.rate for one in results[name, load.name]]) / result.rate
            print(f"  {name:32} {result.rate:6.0f}/s  p50 {result.p50 * 1e3:6.1f} ms  p99 {result.p99 * 1e3:6.1f} ms", end="  ")
            print(f"(spread {spread:.0%})")
        peer = max((name for name in SERVERS if name != "pinion-serve"), key=lambda name: best[name].rate)
        print(f"  ratio to the best peer, {peer}: {best['pinion-serve'].rate / best[peer].rate:.2f}", flush=True)
    print(breakdown)
