"""What came of asking for vectors with a client: those of `/v1/embeddings` as bare JSON, or something else.

Of a thousand texts some are given to sentence-transformers too, and timed.
"""

import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devcluster.hubmirror.models import MINILM

from ..serving.servers import Endpoint, sentence_transformers
from ..serving.where import requests_answered
from .asking import ANSWER_SECONDS, ask
from .installing import NotInstalled
from .vector_clients import Client

TOLERANCE = 1e-6
_MANY = 1000  # texts, from which the time is of interest
_TURNS, _TURN = 3, 100  # texts of a turn


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
    found = ask([*command, url, MINILM], client.texts)
    vectors: list[list[float]] | str = [entry["embedding"] for entry in found["data"]] if isinstance(found, dict) else found
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
