"""Two hundred clients of a `pinion-serve` that generates for sixteen: tokens per second beside its peak, and its refusals."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .generating.llama import make_llama, words
from .generating.loads import SHORT, STREAMS, Load
from .generating.servers import pinion
from .generating.streams import Answer, Endpoint, Refused, session, stream
from .generating.timing import percentile, result_of

CLIENTS = 200
SEQUENCES = max(STREAMS)
WAITING = SEQUENCES  # requests; one more is refused
LOSS = 0.05  # of the tokens per second at the peak
REFUSAL_SECONDS = 0.05
SECONDS = 10.0  # of each load
ARRIVAL_SECONDS = 2.0  # in which clients come, one after the other, as load tools let them
ROUNDS = 2
# How long a refused client waits, of what it was told.
MANNERS: dict[str, Callable[[float], float]] = {
    "when they are told to": lambda told: told,
    "after half a second": lambda told: min(told, 0.5),
    "at once": lambda told: 0.0,
}
TOLD, _, AT_ONCE = MANNERS


@dataclass
class Overload:
    """What came of a load; seconds."""

    rate: float = 0.0  # tokens per second
    first: list[float] = field(default_factory=list)  # times to first token
    refusals: list[float] = field(default_factory=list)  # from the request to the end of its refusal


def run() -> None:
    """Print tokens per second of few clients and of two hundred, and how fast those are refused that are too many."""
    peak: dict[int, list[float]] = {}
    found: dict[str, list[Overload]] = {}
    crowds: list[Overload] = []
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "llama"
        make_llama(folder)
        known, flags = words(folder), ("--max-sequences", str(SEQUENCES), "--max-queued-requests", str(WAITING))
        with pinion(folder, *flags) as endpoint:
            asyncio.run(_send(endpoint, SHORT[-1], known, AT_ONCE))  # warm-up
            for _ in range(ROUNDS):  # in turns, so that a noisy minute does not hit one of them alone
                for load in SHORT[1:]:
                    peak.setdefault(load.streams, []).append(asyncio.run(_send(endpoint, load, known, AT_ONCE)).rate)
                load = Load("overload", CLIENTS, SHORT[0].prompt, SHORT[0].answer)
                for name in MANNERS:
                    found.setdefault(name, []).append(asyncio.run(_send(endpoint, load, known, name, ARRIVAL_SECONDS)))
                crowds.append(asyncio.run(_send(endpoint, load, known, TOLD)))
    best = {streams: max(rates) for streams, rates in peak.items()}
    for streams, rate in best.items():
        print(f"  {streams} clients: {rate:.0f} tokens/s, rounds {', '.join(f'{one:.0f}' for one in peak[streams])}")
    for name, rounds in found.items():
        _report(f"{CLIENTS} clients that ask again {name}", max(best.values()), rounds)
    _report(f"{CLIENTS} clients that come in one moment, and ask again {TOLD}", max(best.values()), crowds)


async def _send(endpoint: Endpoint, load: Load, known: list[str], manner: str, arrival: float = 0.0) -> Overload:
    """Keep a load up for some seconds once all clients have come; who is refused asks again in that manner."""
    pause = MANNERS[manner]
    asks, answers, result = load.asks(known), list[Answer](), Overload()
    async with session(load.streams, keep=True) as client:
        begun = time.perf_counter() + arrival
        end = begun + SECONDS

        async def keep_asking(number: int) -> None:
            await asyncio.sleep(arrival * number / load.streams)
            while (sent := time.perf_counter()) < end:
                try:
                    answers.append(await stream(client, endpoint, next(asks)))
                except Refused as refused:
                    now = time.perf_counter()
                    result.refusals.append(now - sent)
                    await asyncio.sleep(max(0.0, min(pause(refused.retry_after), end - now)))

        await asyncio.gather(*map(keep_asking, range(load.streams)))
    result.rate = result_of(answers, begun, end).rate
    result.first = [answer.events[0] - answer.sent for answer in answers]
    return result


def _report(who: str, peak: float, rounds: list[Overload]) -> None:
    best = max(rounds, key=lambda one: one.rate)
    loss, told = 1 - best.rate / peak, ", ".join(f"{one.rate:.0f}" for one in rounds)
    print(f"  {who}: {best.rate:.0f} tokens/s, rounds {told}", end="; ")
    print(f"{loss:+.1%} lost of the peak, limit {LOSS:.0%}: {'kept' if loss <= LOSS else 'not kept'}")
    print(f"    first token p50 {statistics.median(best.first):.2f} s, p99 {percentile(best.first, 99):.2f} s")
    refusals = [seconds for one in rounds for seconds in one.refusals]
    if not refusals:
        print("    no refusals", flush=True)
        return
    p50, p99 = statistics.median(refusals), percentile(refusals, 99)
    verdict = "kept" if p99 <= REFUSAL_SECONDS else "not kept"
    per_second = len(refusals) / SECONDS / len(rounds)
    print(f"    {per_second:.0f} refusals/s, p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms", end="; ")
    print(f"limit {1000 * REFUSAL_SECONDS:.0f} ms: {verdict}, ratio {p99 / REFUSAL_SECONDS:.2f}", flush=True)
