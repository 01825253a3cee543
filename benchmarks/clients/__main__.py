"""Each client once, with its own defaults, against `pinion-serve`: `python -m benchmarks.clients [NAME ...]`.

A client gets an environment of its own, which goes when it has been asked. Printed is a table of what came: the vectors of
`/v1/embeddings` as bare JSON, or something else. Of a thousand texts some are given to sentence-transformers too, and timed.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devcluster.hubmirror.models import MINILM, assemble

from ..serving.servers import Endpoint, pinion, sentence_transformers
from ..serving.where import requests_answered
from .clients import CLIENTS, Client
from .installing import NotInstalled, jdk_version

TOLERANCE = 1e-6
_MANY = 1000  # texts, from which the time is of interest
_TURNS, _TURN = 3, 100  # texts of a turn
ANSWER_SECONDS = 600
_LONGEST = 400  # characters of a refusal


def try_client(client: Client, endpoint: Endpoint, work: Path) -> str:
    """Return what came of asking with this client, in words; `work` holds the folder of models."""
    with tempfile.TemporaryDirectory(prefix="client-") as folder:
        try:
            command = client.install(Path(folder))
        except NotInstalled as why:
            return f"not tried: {why}"
        if len(client.texts) >= _MANY:
            return _time(client, command, endpoint, work)
        found = _ask(client, command, endpoint.url)
    return found if isinstance(found, str) else _compare(found, _bare(endpoint.url, client.texts))


def _time(client: Client, command: list[str], endpoint: Endpoint, work: Path) -> str:
    """Ask, then give some of the texts to both servers in turns: what other programs take falls on both."""
    before = requests_answered(endpoint.management)
    found = _ask(client, command, endpoint.url)
    requests = requests_answered(endpoint.management) - before
    if isinstance(found, str):
        return found
    expected: list[list[float]] = []
    seconds: list[tuple[float, float]] = []
    with sentence_transformers(work) as peer:
        for start in range(0, _TURNS * _TURN, _TURN):
            texts = client.texts[start : start + _TURN]
            started = time.monotonic()
            expected += _bare(peer.url, texts)
            between = time.monotonic()
            _bare(endpoint.url, texts)
            seconds.append((time.monotonic() - between, between - started))
    came = _compare(found[: len(expected)], expected) if len(found) == len(client.texts) else f"WRONG: {len(found)} vectors"
    ours, theirs = (statistics.median(column) for column in zip(*seconds, strict=True))
    return f"{came}; requests: {requests:.0f}; {_TURN} texts in turns: {ours:.1f} s, sentence-transformers {theirs:.1f} s"


def _ask(client: Client, command: list[str], url: str) -> list[list[float]] | str:
    """Return the vectors, or in words what came instead."""
    try:
        done = subprocess.run(
            [*command, url, MINILM], input=json.dumps(client.texts), capture_output=True, text=True, timeout=ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {ANSWER_SECONDS} s"
    if done.returncode:
        return f"refused: {done.stderr.strip().splitlines()[-1][:_LONGEST]}"
    found = json.loads(done.stdout.splitlines()[-1])
    vectors: list[list[float]] = [entry["embedding"] for entry in found["data"]] if isinstance(found, dict) else found
    return vectors


def _compare(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> str:
    if len(found) != len(expected):
        return f"WRONG: {len(found)} vectors of {len(expected)} texts"
    far = max(abs(a - b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True))
    return "the same" if far < TOLERANCE else f"WRONG: vectors differ by {far}"


def _bare(url: str, texts: list[str]) -> list[list[float]]:
    """Ask without a client."""
    body = json.dumps({"model": MINILM, "input": texts}).encode()
    with urllib.request.urlopen(f"{url}/v1/embeddings", body, ANSWER_SECONDS) as answer:
        entries: list[dict[str, Any]] = json.load(answer)["data"]
    return [entry["embedding"] for entry in entries]


def main() -> None:
    """Try those that were named, or all of them, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a client's name; default all")
    names = parser.parse_args().names
    print("| client | version | what came |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        assemble(Path(work) / "hub")
        with pinion(Path(work)) as endpoint:
            for client in CLIENTS:
                if not names or any(name.lower() in client.name.lower() for name in names):
                    came = try_client(client, endpoint, Path(work))
                    print(f"| {client.name} | {client.versions or f'JDK {jdk_version()}'} | {came} |", flush=True)


if __name__ == "__main__":
    main()
