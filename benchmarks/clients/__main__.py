"""Each client once, with its own defaults, against `pinion-serve`: `python -m benchmarks.clients [NAME ...]`.

A client gets an environment of its own, which goes when it has been asked. Printed is a table of what came: the vectors of
`/v1/embeddings` as bare JSON, or something else. A thousand texts are compared with sentence-transformers, time included.
"""

import argparse
import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devcluster.hubmirror.models import MINILM, assemble

from ..serving.servers import Endpoint, pinion
from ..serving.where import answered
from .alone import compute_alone
from .clients import CLIENTS, Client
from .installing import NotInstalled, jdk_version

TOLERANCE = 1e-6
_MANY = 100  # texts, from which the time is of interest
ANSWER_SECONDS = 600
_LONGEST = 400  # characters of a refusal


def try_client(client: Client, endpoint: Endpoint, model: Path) -> str:
    """Return what came of asking with this client, in words; `model` is the folder of what is served."""
    with tempfile.TemporaryDirectory(prefix="client-") as folder:
        try:
            command = client.install(Path(folder))
        except NotInstalled as why:
            return f"not tried: {why}"
        if len(client.texts) >= _MANY:
            return _time(client, command, endpoint, model)
        found = _ask(client, command, endpoint.url)
    return found if isinstance(found, str) else _compare(found, _bare(endpoint.url, client.texts))


def _time(client: Client, command: list[str], endpoint: Endpoint, model: Path) -> str:
    """Ask between the two halves of what sentence-transformers is given: other programs' load is the same for both, nearly."""
    half = len(client.texts) // 2
    expected, alone = compute_alone(model, client.texts[:half])
    requests, seconds = answered(endpoint.management)
    found = _ask(client, command, endpoint.url)
    requests_after, seconds_after = answered(endpoint.management)
    more, alone_after = compute_alone(model, client.texts[half:])
    what = found if isinstance(found, str) else _compare(found, expected + more)
    ours, theirs = seconds_after - seconds, alone + alone_after
    return f"{what}; requests: {requests_after - requests:.0f}, {ours:.0f} s; sentence-transformers alone: {theirs:.0f} s"


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
        hub = Path(work) / "hub"
        assemble(hub)
        with pinion(Path(work)) as endpoint:
            for client in CLIENTS:
                if not names or any(name.lower() in client.name.lower() for name in names):
                    came = try_client(client, endpoint, hub / MINILM)
                    print(f"| {client.name} | {client.versions or f'JDK {jdk_version()}'} | {came} |", flush=True)


if __name__ == "__main__":
    main()
