"""Whole answers, put together from their pieces."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .answering import Answers
from .answers import FinishReason
from .logprobs import ChosenToken


@dataclass(slots=True)
class Whole:
    """One answer."""

    finish_reason: FinishReason = "stop"
    logprobs: list[ChosenToken] | None = None
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return its text."""
        return "".join(self.pieces)


async def collect(answers: Answers) -> Sequence[Whole]:
    """Return all answers in their order, once each has ended; raise the ApiError of an engine that failed."""
    wholes: list[Whole] = [Whole() for _ in range(answers.count)]
    async for piece in answers.pieces():
        whole = wholes[piece.choice]
        whole.pieces.append(piece.text)
        if piece.logprobs is not None:
            whole.logprobs = [*(whole.logprobs or ()), *piece.logprobs]
        if piece.finish_reason is not None:
            whole.finish_reason = piece.finish_reason
    return wholes
