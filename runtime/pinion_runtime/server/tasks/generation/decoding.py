"""One answer while it comes: from the engine's token ids to text that is final, up to where it stops."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from ....engines.protocol import Step, TokenLogprobs
from ....model.stop_strings import StopStrings
from ....model.tokenizing import Tokenizer
from .answers import FinishReason
from .logprobs import ChosenToken, Token
from .options import NO_LOGPROBS, GenerationOptions


@dataclass(frozen=True, slots=True)
class Piece:
    """What is new of one answer; a piece has a reason only when nothing follows it."""

    choice: int  # of all answers to the request
    text: str
    finish_reason: FinishReason | None = None
    logprobs: Sequence[ChosenToken] | None = None  # of the tokens that came with it, where they were asked for


class Decoding:
    """One answer; `take` the steps of its choice until `ended`."""

    def __init__(self, choice: int, prompt: Sequence[int], options: GenerationOptions, tokenizer: Tokenizer) -> None:
        self._choice, self._tokenizer = choice, tokenizer
        self._detokenizer = tokenizer.detokenizer(prompt, skip_special_tokens=options.skip_special_tokens)
        self._stops = StopStrings(options.stop)
        self._wants_logprobs = options.logprobs != NO_LOGPROBS
        self._characters = 0  # of the text, with what is held back for a stop string
        self.tokens = 0
        self.ended = False

    def take(self, step: Step) -> Piece:
        """Return what a step brings, which may be nothing."""
        ids: Sequence[int] = array("i", step.ids)
        self.tokens += len(ids)
        reason: FinishReason | None = step.finish or None
        written = ids[:-1] if reason == "stop" else ids  # what ended it is no part of the answer
        offsets, decoded = [], ""
        for number in written:
            offsets.append(self._characters + len(decoded))
            decoded += self._detokenizer.feed([number])
        self._characters += len(decoded)
        text, stopped = self._stops.feed(decoded)
        if reason is not None and stopped is None:
            more, stopped = self._stops.feed(self._detokenizer.flush())
            text += more + ("" if stopped else self._stops.flush())
        if stopped is not None:
            reason = "stop"
        self.ended = reason is not None
        logprobs = self._logprobs(written, offsets, step.logprobs) if self._wants_logprobs else None
        return Piece(self._choice, text, reason, logprobs)

    def _logprobs(self, ids: Sequence[int], offsets: Sequence[int], logprobs: Sequence[TokenLogprobs]) -> list[ChosenToken]:
        chosen = []
        for number, offset, said in zip(ids, offsets, logprobs, strict=False):
            text, data = self._tokenizer.token_text(number)
            top = [self._token(*each) for each in zip(said.top_ids, said.top_logprobs, strict=True)]
            chosen.append(ChosenToken(text, said.logprob, data, top, offset))
        return chosen

    def _token(self, number: int, logprob: float) -> Token:
        text, data = self._tokenizer.token_text(number)
        return Token(text, logprob, data)
