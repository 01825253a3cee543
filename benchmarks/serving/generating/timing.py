"""A load for a fixed time, and a long prompt that comes while others are answered."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp

from .loads import COMPANY, LONG, Ask, Load
from .streams import Answer, Endpoint, session, stream

SETTLE_SECONDS = 1.0
LONG_PROMPTS = 4


@dataclass(frozen=True)
class Result:
    """What came of a load; seconds."""

    rate: float  # tokens per second
    first: tuple[float, float]  # time to first token, median and 99th percentile
    gap: tuple[float, float]  # between tokens, the same
    answers: int
    tokens_per_event: float


@dataclass(frozen=True)
class Disturbed:
    """What a long prompt did to those that were being answered; seconds."""

    before: list[float]  # gaps between their tokens while there was no long prompt
    during: list[float]  # gaps of which a part lies between a long prompt's arrival and its first token
    first_alone: list[float]  # time to first token of a long prompt that nobody else runs beside
    first_beside: list[float]


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


async def send(endpoint: Endpoint, load: Load, words: list[str], seconds: float) -> Result:
    """Keep a load up for so long; what comes after that is waited for, and not counted."""
    asks, answers = load.asks(words), []
    async with session(load.streams) as client:
        begun = time.perf_counter()
        end = begun + seconds

        async def keep_asking() -> None:
            while time.perf_counter() < end:
                answers.append(await stream(client, endpoint, next(asks)))

        await asyncio.gather(*(keep_asking() for _ in range(load.streams)))
    return result_of(answers, begun, end)


async def first_answers(endpoint: Endpoint, load: Load, words: list[str]) -> list[str]:
    """Return the texts that answer as many requests of a load as it has streams."""
    asks = load.asks(words)
    async with session(load.streams) as client:
        answers = await asyncio.gather(*(stream(client, endpoint, next(asks)) for _ in range(load.streams)))
    return [answer.text for answer in answers]


def result_of(answers: list[Answer], begun: float, end: float) -> Result:
    """Return the figures of answers; of their events, for the rate, those count that came from `begun` to `end`."""
    tokens = sum(answer.tokens for answer in answers)
    events = sum(len(answer.events) for answer in answers)
    counted = sum(begun <= event <= end for answer in answers for event in answer.events)
    first = [answer.events[0] - answer.sent for answer in answers]
    gaps = [gap for answer in answers for when, gap in answer.gaps if when <= end] or [0.0]
    return Result(
        rate=counted * tokens / events / (end - begun),
        first=(statistics.median(first), percentile(first, 99)),
        gap=(statistics.median(gaps), percentile(gaps, 99)),
        answers=len(answers),
        tokens_per_event=tokens / events,
    )


async def disturb(endpoint: Endpoint, words: list[str], long_prompts: int = LONG_PROMPTS) -> Disturbed:
    """Send long prompts, one after the other, first alone, then while seven streams are answered."""
    longs, asks = LONG.asks(words), COMPANY.asks(words)
    async with session(COMPANY.streams + 1) as client:
        alone = [await _first(client, endpoint, longs) for _ in range(long_prompts)]
        done, answers = asyncio.Event(), []

        async def keep_asking() -> None:
            while not done.is_set():
                answers.append(await stream(client, endpoint, next(asks)))

        async def send_long() -> list[tuple[float, float]]:
            spans = []
            try:
                for _ in range(long_prompts):
                    await asyncio.sleep(SETTLE_SECONDS)
                    sent = time.perf_counter()
                    spans.append((sent, sent + await _first(client, endpoint, longs)))
            finally:
                done.set()
            return spans

        spans, *_ = await asyncio.gather(send_long(), *(keep_asking() for _ in range(COMPANY.streams)))
    return disturbed_by(answers, spans, alone)


async def _first(client: aiohttp.ClientSession, endpoint: Endpoint, longs: Iterator[Ask]) -> float:
    answer = await stream(client, endpoint, next(longs))
    return answer.events[0] - answer.sent


def disturbed_by(answers: list[Answer], spans: list[tuple[float, float]], alone: list[float]) -> Disturbed:
    """Return the gaps of answers, parted by whether a long prompt waited for its first token, as `spans` say."""
    during, before = [], []
    for when, gap in (gap for answer in answers for gap in answer.gaps):
        if any(when > since and when - gap < until for since, until in spans):
            during.append(gap)
        elif when < spans[-1][1]:
            before.append(gap)
    return Disturbed(before, during, alone, [until - since for since, until in spans])
