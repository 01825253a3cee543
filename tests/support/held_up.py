"""A front under the worst of requests: how long its probes take, what memory it takes, and what becomes of its engine."""

import functools
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.serve import Served
from tests.support.worst_texts import TEXTS

# What a front may take for requests, above what it has at rest: docs/http-interface.md says so.
MEMORY_BOUND = 512 << 20


@dataclass
class Watched:
    """What was seen; complete after the `with`."""

    livez_seconds: list[float] = field(default_factory=list)
    small_seconds: list[float] = field(default_factory=list)  # of requests of one word beside the others
    statuses: set[int] = field(default_factory=set)  # of probes and small requests
    grown_bytes: int = 0


def check_probes(seconds: Sequence[float], limit: float) -> None:
    """Fail where more than one probe in a hundred took longer than `limit`, or any one five times as long.

    Of fewer than three hundred two may: the longest of some dozen tells of a processor that was busy elsewhere.
    """
    longest = sorted(seconds, reverse=True)
    assert longest[min(max(2, len(seconds) // 100), len(seconds) - 1)] < limit, longest[:10]
    assert longest[0] < 5 * limit, longest[:10]


def p99(seconds: Sequence[float]) -> float:
    """Return what 99 of 100 took at most; of fewer, the longest."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


@contextmanager
def watched(served: Served) -> Iterator[Watched]:
    """Probe all the time, send a word now and then, and measure the memory of the front."""
    seen, over = Watched(), threading.Event()
    before = memory_of(served.process.pid)
    Path(f"/proc/{served.process.pid}/clear_refs").write_text("5")  # the peak begins again

    def ask(port: int, pause: float, took: list[float], method: str, path: str, body: bytes | None) -> None:
        while True:  # once at least, however short the block is
            began = time.monotonic()
            status, _ = send(port, path, body, method=method)
            took.append(time.monotonic() - began)
            seen.statuses.add(status)
            if over.wait(pause):
                return

    small = json.dumps({"model": served.model, "input": "kettle"}).encode()
    with ThreadPoolExecutor(2) as threads:
        asking = [
            threads.submit(ask, served.management_port, 0.01, seen.livez_seconds, "GET", "/livez", None),
            threads.submit(ask, served.port, 0.1, seen.small_seconds, "POST", "/v1/embeddings", small),
        ]
        try:
            yield seen
        finally:
            over.set()
            for each in asking:
                each.result(60)
    seen.grown_bytes = max(0, memory_of(served.process.pid, "VmHWM") - before)


def send(port: int, path: str, body: bytes | None, *, method: str = "POST", timeout: float = 200.0) -> tuple[int, bytes]:
    """Ask over a connection of its own; return status and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def send_at_once(served: Served, bodies: Sequence[bytes]) -> list[int]:
    """Send all of them at the same time, and return the statuses."""
    with ThreadPoolExecutor(len(bodies)) as threads:
        return [status for status, _ in threads.map(lambda body: send(served.port, "/v1/embeddings", body), bodies)]


def worst_bodies(model: str, names: Sequence[str] = ()) -> list[bytes]:
    """Return bodies near the limit of 10 MiB, those of these names, or all."""

    def body(value: object, **more: object) -> bytes:
        return json.dumps({"model": model, "input": value, **more}, ensure_ascii=False).encode()

    def raw(value: bytes) -> bytes:
        return b'{"model":"%b","input":%b}' % (model.encode(), value)

    def text(name: str) -> str:
        made = TEXTS[name](4_000_000)
        return made[: 4_000_000 * len(made) // len(made.encode())]

    texts = ["heron kettle " * 380] * 2048
    makers: dict[str, Callable[[], bytes]] = {
        "one long word": lambda: body("a" * 9_900_000),
        "one long word, cut": lambda: body("a" * 9_900_000, truncate=True),
        "one emoji in letters": lambda: body("a" * 9_900_000 + "😀", truncate=True),
        "texts": lambda: body(texts),
        "texts, cut": lambda: body(texts, truncate=True),
        "too many texts": lambda: raw(b"[" + b",".join([b'"a"'] * 2_500_000) + b"]"),
        "token ids": lambda: raw(b"[" + b",".join([b"5"] * 5_000_000) + b"]"),
        "lists of token ids": lambda: raw(b"[" + b",".join([b"[" + b",".join([b"75"] * 1600) + b"]"] * 2048) + b"]"),
        "lists of one id": lambda: raw(b"[" + b",".join([b"[5]"] * 2_500_000) + b"]"),
        "objects": lambda: raw(b"[" + b",".join([b"{}"] * 3_000_000) + b"]"),
        "escapes": lambda: raw(b'"' + b"\\n" * 5_000_000 + b'"'),
        "escaped letters": lambda: raw(b'"' + b"\\u0301" * 1_600_000 + b'"'),
        "brackets": lambda: raw(b"[" * 10_000_000),
        "names": lambda: b"{" + b",".join(b'"a%d":1' % number for number in range(700_000)) + b"}",
    }
    for name in TEXTS:
        makers[name] = functools.partial(lambda name: body(text(name)), name)
        makers[f"{name}, cut"] = functools.partial(lambda name: body(text(name), truncate=True), name)
        makers[f"{name}, cut at its beginning"] = functools.partial(lambda name: body(text(name), truncate="START"), name)
    return [makers[name]() for name in names or makers]


def memory_of(pid: int, name: str = "VmRSS") -> int:
    """Return bytes from a process's /proc entry."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {name}")
