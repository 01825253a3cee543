"""What is sent: one text per request, on a number of connections, for a fixed time."""

import asyncio
import time
from dataclasses import dataclass

import aiohttp

from devcluster.hubmirror.models import MINILM

SECONDS = 6.0
_TEXT = "the quick brown fox jumps over a lazy dog while seven wizards quietly forge new rings under the old mountain"
_WORDS = _TEXT.split(" ")
_SHORT = tuple(" ".join(_WORDS[i % 7 : i % 7 + 6 + i % 6]) for i in range(64))
_MIXED = tuple(" ".join(_WORDS * (1 + (i * i) % 12)) for i in range(64))


@dataclass(frozen=True)
class Load:
    """Texts, and how many requests are in flight."""

    name: str
    texts: tuple[str, ...]
    streams: int


LOADS = tuple(
    Load(f"{kind} texts, {streams} in flight", texts, streams)
    for kind, texts in (("short", _SHORT), ("mixed", _MIXED))
    for streams in (1, 8, 32)
)


@dataclass(frozen=True)
class Result:
    """What came back."""

    rate: float  # answers per second
    p50: float  # seconds
    p99: float  # seconds


async def send(url: str, load: Load, *, seconds: float = SECONDS) -> Result:
    """Send a load; raise when any request is not answered with 200."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    connector = aiohttp.TCPConnector(limit=load.streams)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), connector=connector) as session:

        async def stream(first: int) -> None:
            number = first
            while (began := time.perf_counter()) < end:
                body = {"model": MINILM, "input": [load.texts[number % len(load.texts)]], "encoding_format": "float"}
                async with session.post(f"{url}/v1/embeddings", json=body) as answer:
                    answer.raise_for_status()
                    await answer.read()
                took.append(time.perf_counter() - began)
                number += load.streams

        started = time.perf_counter()
        await asyncio.gather(*(stream(i) for i in range(load.streams)))
    ordered = sorted(took)
    return Result(
        rate=len(ordered) / (time.perf_counter() - started),
        p50=ordered[len(ordered) // 2],
        p99=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    )
