"""What came of asking for text with a client: what bare JSON gets, whole, in pieces and in turns, or something else."""

import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.hubmirror.tiny_chat import make_tiny_chat

from ..processes import BIN, free_port, process
from .asking import ANSWER_SECONDS, ask
from .installing import NotInstalled
from .text_clients import Asked, TextClient, Way

QUESTIONS = ("Why do kettles sing?", "水壶在炉子上。🫖\nAnd then?")
TOKENS = 24
MODEL = "tiny-chat"


@dataclass(frozen=True)
class Answer:
    """One answer."""

    text: str
    usage: tuple[int, int]  # tokens of the prompt and of the answer


Expectation = Mapping[Asked, Sequence[Answer]]


@contextmanager
def pinion_chat(work: Path) -> Iterator[str]:
    """Run `pinion-serve` with a tiny untrained decoder; yield its URL."""
    make_tiny_chat(work / MODEL)
    port, management = free_port(), free_port()
    serve: list[str | Path] = [
        BIN / "pinion-serve", work / MODEL, "--served-name", MODEL, "--cache-dir", work / "cache-chat",
        "--port", str(port), "--management-port", str(management),
    ]  # fmt: skip
    with process(serve, f"http://127.0.0.1:{management}/readyz"):
        yield f"http://127.0.0.1:{port}"


def expectation(url: str) -> Expectation:
    """Return what bare JSON gets: each question as a chat and as a prompt, and the second behind the first and its answer."""
    first, second = ([{"role": "user", "content": question}] for question in QUESTIONS)
    chats = [_bare_chat(url, messages) for messages in (first, second)]
    turns = [*first, {"role": "assistant", "content": chats[0].text}, *second]
    prompts = [_bare(url, "completions", {"prompt": question}) for question in QUESTIONS]
    return {
        "chat": chats,
        "turns": [_bare_chat(url, turns)],
        "completion": [Answer(body["choices"][0]["text"], _counts(body)) for body in prompts],
    }


def try_text_client(client: TextClient, url: str, expected: Expectation) -> str:
    """Return what came of asking with this client, in words: the ways that had a result, and the result."""
    with tempfile.TemporaryDirectory(prefix="client-") as folder:
        try:
            command = client.install(Path(folder))
        except NotInstalled as why:
            return f"not tried: {why}"
        came: dict[str, list[str]] = {}
        for way in client.ways:
            found = ask([*command, url, MODEL, way.name], {"questions": QUESTIONS, "tokens": TOKENS})
            result = found if isinstance(found, str) else _compare(found, expected[way.asked], way)
            came.setdefault(result, []).append(way.name)
    return "; ".join(f"{', '.join(ways)}: {result}" for result, ways in came.items())


def _compare(found: Sequence[Mapping[str, Any]], expected: Sequence[Answer], way: Way) -> str:
    if len(found) != len(expected):
        return f"WRONG: {len(found)} answers to {len(expected)} questions"
    for one, other in zip(found, expected, strict=True):
        if (text := "".join(one["pieces"])) != other.text:
            return f"WRONG: {text!r} is not {other.text!r}"
        if way.streams and sum(map(bool, one["pieces"])) < TOKENS // 2:
            return f"WRONG: a stream of {len(one['pieces'])} pieces"
    told = [one.get("usage") for one in found]
    if not any(told):
        return "the same"
    counts = [list(other.usage) for other in expected]
    return "the same, with usage" if told == counts else f"WRONG: usage {told} is not {counts}"


def _bare_chat(url: str, messages: Sequence[Mapping[str, str]]) -> Answer:
    body = _bare(url, "chat/completions", {"messages": messages})
    return Answer(body["choices"][0]["message"]["content"], _counts(body))


def _bare(url: str, route: str, asked: Mapping[str, Any]) -> Any:
    """Ask without a client."""
    body = json.dumps({"model": MODEL, "max_tokens": TOKENS, "temperature": 0, **asked}).encode()
    with urllib.request.urlopen(f"{url}/v1/{route}", body, ANSWER_SECONDS) as answer:
        return json.load(answer)


def _counts(body: Any) -> tuple[int, int]:
    return body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]
