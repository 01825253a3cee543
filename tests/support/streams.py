"""Streams of a tiny decoder whose answers are as long as one likes, read to their ends, however these come."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from tests.support.serve import READY_SECONDS, Serve, Served

NAME = "long-llama"
SEQUENCES = 8
CONTEXT = 16_384  # an answer of this length does not end while a test looks at it
PATIENCE = 120.0


class Refused(Exception):
    """An answer that is no stream."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.status_code}: {answer.text}")
        self.status = answer.status_code


def start(starter: Serve, folder: Path, *flags: str, seconds: float = READY_SECONDS) -> Served:
    running = starter.local(str(folder), NAME, "--max-sequences", str(SEQUENCES), *flags)
    running.wait_ready(seconds)
    return running


def body(seed: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a request whose answer is as long as the context."""
    return {"model": NAME, "prompt": [5 + seed, 6, 7], "temperature": 0, "ignore_eos": True, "stream": True, **fields}


async def stream(
    served: Served, request: dict[str, Any], headers: dict[str, str] | None = None, silence: float = PATIENCE
) -> AsyncGenerator[Any, None]:
    """Yield the data of a stream's events; the last is "[DONE]" where nothing is missing.

    Raises Refused, and httpx.ReadTimeout after so many seconds of `silence`.
    """
    async with (
        httpx.AsyncClient(timeout=silence, verify=False) as client,
        client.stream("POST", served.base + "/v1/completions", json=request, headers=headers) as answer,
    ):
        if answer.status_code != 200:
            await answer.aread()
            raise Refused(answer)
        async for line in answer.aiter_lines():
            if line:
                data = line.removeprefix("data: ")
                yield data if data == "[DONE]" else json.loads(data)


async def last_of(served: Served, request: dict[str, Any], begun: asyncio.Semaphore, silence: float = PATIENCE) -> list[Any]:
    """Read a stream to its end, however that comes; say when it has begun. Returns its last two events."""
    last: list[Any] = []
    try:
        async with aclosing(stream(served, request, silence=silence)) as events:
            async for event in events:
                if not last:
                    begun.release()
                last = [*last[-1:], event]
    except httpx.RemoteProtocolError:
        last = [*last[-1:], "broken off"]
    return last


async def answer(served: Served, **fields: Any) -> str:
    request = body(**{"stream": False, "max_tokens": 6, **fields})
    found = await asyncio.to_thread(served.post, request, path="/v1/completions", timeout=PATIENCE)
    assert found.status_code == 200, found.text
    return str(found.json()["choices"][0]["text"])
