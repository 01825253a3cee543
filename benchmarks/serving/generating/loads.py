"""What is asked: prompts of so many tokens, answers of so many, and how many at a time."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

STREAMS = (1, 8, 16)


@dataclass(frozen=True)
class Ask:
    """One request."""

    prompt: str
    answer: int  # tokens, no more and no fewer


@dataclass(frozen=True)
class Load:
    """Requests, and how many are in flight."""

    name: str
    streams: int
    prompt: tuple[int, int]  # tokens, from and to
    answer: tuple[int, int]

    def asks(self, words: list[str]) -> Iterator[Ask]:
        """Give requests without end, the same each time; no two begin alike, so that no server computes one from another.

        Each of `words` is one token.
        """
        dice = random.Random(f"{self.name} {self.streams}")
        while True:
            prompt = "".join(dice.choices(words, k=dice.randint(*self.prompt)))
            yield Ask(prompt, dice.randint(*self.answer))


SHORT = tuple(Load("short", streams, (64, 64), (48, 48)) for streams in STREAMS)
MIXED = tuple(Load("mixed", streams, (16, 512), (16, 128)) for streams in STREAMS)
LOADS = SHORT + MIXED
COMPANY = Load("company", 7, (64, 64), (400, 400))  # what runs when the long prompt comes
LONG = Load("long", 1, (1500, 1500), (4, 4))
PROBE = Load("probe", 8, (64, 64), (8, 8))
