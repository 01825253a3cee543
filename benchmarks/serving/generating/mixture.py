"""Requests of every kind and size, of many clients, some of which go before their answer has come."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CLIENTS = 40
_PROMPTS = (1, 3, 10, 30, 100, 300, 900)  # tokens
_ANSWERS = (1, 2, 4, 8, 16, 48)
_CHOICES = (1, 1, 1, 1, 1, 1, 2, 4)
_LEAVES = 0.08  # of the requests are given up
_LEAVES_WITHIN = 0.2  # seconds
_SYSTEM_TOKENS = 60  # of a message that all chats begin with
_SAMPLING: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"temperature": 0, "repetition_penalty": 1.1},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1.0, "top_k": 50, "seed": 7},
    {"temperature": 1.3, "min_p": 0.02, "presence_penalty": 0.5},
)


@dataclass(frozen=True)
class Call:
    """One request."""

    path: str
    body: dict[str, Any]
    client: int  # whose key it has
    leaves_after: float | None  # seconds until it is given up; None: it is not


def calls(words: list[str], model: str) -> Iterator[Call]:
    """Give requests without end, the same each time; each of `words` is one token."""
    dice = random.Random("mixture")
    system = "".join(dice.choices(words, k=_SYSTEM_TOKENS))
    while True:
        text = "".join(dice.choices(words, k=dice.choice(_PROMPTS)))
        body: dict[str, Any] = {"model": model, "max_tokens": dice.choice(_ANSWERS), "n": dice.choice(_CHOICES)}
        body |= dice.choice(_SAMPLING)
        if dice.random() < 0.5:
            body["stream"] = True
            body |= dice.choice(({}, {"stream_options": {"include_usage": True}}))
        if dice.random() < 0.5:
            path = "/v1/chat/completions"
            body["messages"] = [{"role": "system", "content": system}, {"role": "user", "content": text}]
            body |= dice.choice(({}, {}, {}, {"logprobs": True, "top_logprobs": 5}))
        else:
            path, body["prompt"] = "/v1/completions", dice.choice((text, [text, text[: len(text) // 2 + 1]]))
            body |= dice.choice(({}, {}, {}, {"logprobs": 5}, {"stop": [dice.choice(words)]}))
        leaves = dice.uniform(0, _LEAVES_WITHIN) if dice.random() < _LEAVES else None
        yield Call(path, body, dice.randrange(CLIENTS), leaves)
