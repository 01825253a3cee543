"""Resident memory of `pinion-serve` that generates text, at rest after each quarter of 10,000 requests, beside a limit."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import aiohttp

from pinion_runtime.engines.resident import TRIM_SECONDS
from pinion_runtime.pod.memory import tree

from .generating.llama import make_llama, words
from .generating.mixture import CLIENTS, Call, calls
from .generating.servers import pinion
from .generating.streams import Endpoint, WrongAnswer
from .resident import REQUESTS, growth_of, parts, resident

IN_FLIGHT = 16
_SIZE: dict[str, int] = {"width": 128, "layers": 2}  # small: ten thousand requests take minutes
_OWN = {"engines.worker": "engine", "template_process": "templates"}  # processes beside the front, by their command


def run(requests: int = REQUESTS) -> None:
    """Print what front, engine and templates hold when they are ready, and at rest after each quarter of the requests."""
    with tempfile.TemporaryDirectory() as work, ExitStack() as running:
        folder, keys = Path(work) / "llama", Path(work) / "keys"
        make_llama(folder, **_SIZE)
        keys.mkdir()
        for client in range(CLIENTS):
            (keys / f"client-{client}").write_text(_key(client))
        endpoint = running.enter_context(pinion(folder, "--api-keys-dir", keys))
        print(f"  ready                {_told(_held(endpoint))}", flush=True)
        asked, counts, quarters = calls(words(folder), endpoint.model), Counter[str](), []
        for quarter in range(1, 5):
            asyncio.run(_ask(endpoint, islice(asked, requests // 4), counts))
            busy = _held(endpoint)
            asyncio.run(asyncio.sleep(TRIM_SECONDS + 2))  # memory is given back when nothing was asked for so long
            quarters.append(_held(endpoint))
            print(f"  at rest after {quarter * requests // 4:6} {_told(quarters[-1])}; just before {_told(busy)}", flush=True)
        print(f"  requests: {', '.join(f'{count} {what}' for what, count in counts.most_common())}")
        for name in quarters[0]:
            print(f"  {name}: {growth_of([one[name] for one in quarters])}")
        for name, pid in _processes(endpoint).items():
            where = ", ".join(f"{part} {size:.0f}" for part, size in parts(pid).most_common())
            print(f"  where it is, {name}: {where} MiB", flush=True)


async def _ask(endpoint: Endpoint, asked: Iterator[Call], counts: Counter[str]) -> None:
    """Send requests, so many at a time, and count how they ended; raise WrongAnswer for what is refused or not whole."""
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(endpoint.url, timeout=timeout, connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as client:

        async def keep_asking() -> None:
            for call in asked:
                counts[await _send(client, call)] += 1

        await asyncio.gather(*(keep_asking() for _ in range(IN_FLIGHT)))


async def _send(client: aiohttp.ClientSession, call: Call) -> str:
    headers = {"authorization": f"Bearer {_key(call.client)}"}
    try:
        async with asyncio.timeout(call.leaves_after), client.post(call.path, json=call.body, headers=headers) as answer:
            text = await answer.text()
    except TimeoutError:
        if call.leaves_after is None:
            raise
        return "given up"
    stream = call.body.get("stream", False)
    if answer.status != 200 or (stream and not text.endswith("data: [DONE]\n\n")):
        raise WrongAnswer(f"{answer.status}: {text[-300:]}")
    return "streams" if stream else "whole answers"


def _key(client: int) -> str:
    return f"sk-key-of-client-{client}"


def _processes(endpoint: Endpoint) -> dict[str, int]:
    """Return the ids of the server's processes by what they are."""
    found = {"front": endpoint.pid}
    for pid in tree(endpoint.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        found |= {name: pid for part, name in _OWN.items() if part in command}
    return found


def _held(endpoint: Endpoint) -> dict[str, float]:
    return {name: resident(pid) for name, pid in _processes(endpoint).items()}


def _told(held: dict[str, float]) -> str:
    return ", ".join(f"{name} {size:.0f}" for name, size in held.items()) + " MiB"
