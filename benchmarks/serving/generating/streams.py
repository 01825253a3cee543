"""One streamed completion, timed as a client sees it."""

import json
import time
from dataclasses import dataclass, field

import aiohttp

from .loads import Ask


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers, what it calls the model, how long it took to start, and its process."""

    url: str
    model: str
    start_seconds: float
    pid: int


@dataclass(frozen=True)
class Answer:
    """When a request was sent, when its text came, event by event, and the text."""

    sent: float  # seconds, of time.perf_counter
    events: list[float]
    text: str
    tokens: int

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """When an event came, and how long after the one before it."""
        return [(event, event - before) for before, event in zip(self.events, self.events[1:], strict=False)]


class WrongAnswer(Exception):
    """A server did not do what was asked, so that its time counts for nothing."""


class Refused(WrongAnswer):
    """A server has too much to do, and says in how many seconds to ask again."""

    def __init__(self, retry_after: float, message: str) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass
class _Lines:
    """Lines of server-sent events with the time of each; they are read when the answer is done, so as not to disturb it."""

    left: bytes = b""
    found: list[tuple[float, bytes]] = field(default_factory=list)

    def add(self, piece: bytes, when: float) -> None:
        *lines, self.left = (self.left + piece).split(b"\n")
        self.found += [(when, line[5:].strip()) for line in lines if line.startswith(b"data:")]


def session(streams: int, *, keep: bool = False) -> aiohttp.ClientSession:
    """Return a client of so many connections, a new one for each request unless it may `keep` them: not every server does."""
    connector = aiohttp.TCPConnector(limit=streams, force_close=not keep)
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300), connector=connector)


async def stream(client: aiohttp.ClientSession, endpoint: Endpoint, ask: Ask) -> Answer:
    """Ask for one greedy answer; raise WrongAnswer unless it is a whole one of the length that was asked for, or Refused."""
    body = {
        "model": endpoint.model,
        "prompt": ask.prompt,
        "max_tokens": ask.answer,
        "temperature": 0,
        "stream": True,
    }
    lines, sent = _Lines(), time.perf_counter()
    async with client.post(f"{endpoint.url}/v1/completions", json=body) as response:
        if response.status != 200:
            message = f"{response.status}: {(await response.text())[:300]}"
            if response.status == 429:
                raise Refused(float(response.headers["retry-after"]), message)
            raise WrongAnswer(message)
        async for piece in response.content.iter_any():
            lines.add(piece, time.perf_counter())
    return read(lines.found, sent, ask)


def read(lines: list[tuple[float, bytes]], sent: float, ask: Ask) -> Answer:
    """Return the answer of events, each with when it came; raise WrongAnswer."""
    events: list[float] = []
    text, counted = "", 0
    for when, line in lines:
        if line == b"[DONE]":
            continue
        event = json.loads(line)
        if "error" in event:
            raise WrongAnswer(str(event["error"])[:300])
        counted = (event.get("usage") or {}).get("completion_tokens", counted)
        if piece := "".join(choice.get("text") or "" for choice in event.get("choices", [])):
            events.append(when)
            text += piece
    tokens = counted or len(events)  # not every server tells; of whole words each is an event
    if tokens != ask.answer or not events:
        raise WrongAnswer(f"{tokens} tokens in {len(events)} events where {ask.answer} were asked for")
    return Answer(sent, events, text, tokens)
