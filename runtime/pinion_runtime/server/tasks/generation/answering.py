"""All answers of one request while they are generated: pieces as they come, and what they cost."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ....engines.protocol import Generate, Step
from ....errors import EngineError
from ....pod.metrics import Metrics
from ....pod.state import TextServing
from ....scheduling.sequences import Generation
from ...errors import ApiError
from ..engine_errors import Refusals, api_error
from .answers import FinishReason, Usage
from .decoding import Decoding, Piece
from .merging import merge
from .options import GenerationOptions
from .prompts import Caller, to_generate

_EXPECTED_TOKENS = 1024  # of an answer that may be as long as the context leaves: what the queue counts on


@dataclass(frozen=True, slots=True)
class _Prompt:
    """One prompt at the engine, and the answers to it."""

    generation: Generation | None  # None: no token is wanted
    answers: list[Decoding]
    tokens: int


class Answers:
    """A context manager; what is not finished when it is left is given up."""

    def __init__(self, serving: TextServing, options: GenerationOptions, metrics: Metrics, *, timeout: float) -> None:
        self._serving, self._options, self._metrics, self._timeout = serving, options, metrics, timeout
        self._prompts: list[_Prompt] = []
        self._cached = 0
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give up what is not finished, and count what came."""
        self._held.close()
        if not self._prompts:  # refused: there is nothing to count
            return
        metrics, usage = self._metrics, self.usage
        metrics.tokens.labels(metrics.model, "in").inc(usage.prompt_tokens)
        metrics.tokens.labels(metrics.model, "out").inc(usage.completion_tokens)
        metrics.generation.prefix(usage.cached_tokens)
        for answer in self._answers:
            if not answer.ended:
                metrics.generation.answered("error" if isinstance(error, ApiError) else "cancelled")

    def submit(self, prompts: Sequence[Sequence[int]], field: str, caller: Caller, *, is_list: bool) -> None:
        """Hand all prompts to the queue; raise the ApiError of one that it does not take."""
        options, tokenizer = self._options, self._serving.tokenizer
        requests: list[Generate] = []
        for index, prompt in enumerate(prompts):  # all are looked at before the first one is begun
            where = f"{field}[{index}]" if is_list else field
            requests.append(to_generate(prompt, options, self._serving, caller, where=where))
        if options.max_tokens != 0:
            self._check_together(requests, field)
        for index, (prompt, request) in enumerate(zip(prompts, requests, strict=True)):
            first = index * options.n
            generation = self._submit(request, field) if options.max_tokens != 0 else None
            # After it: most requests of an overload are refused there, and a decoder reads its whole prompt first.
            answers = [Decoding(first + choice, prompt, options, tokenizer) for choice in range(options.n)]
            self._prompts.append(_Prompt(generation, answers, len(prompt)))

    def _check_together(self, requests: Sequence[Generate], field: str) -> None:
        """Raise the 413 for prompts that would wait for one another without end."""
        try:
            sequences = self._serving.capabilities.max_sequences
            self._serving.queue.check_together(requests, sequences, expected_tokens=self._expected_tokens)
        except Refusals as error:
            raise api_error(error, timeout=self._timeout, param=field) from error

    def _submit(self, request: Generate, field: str) -> Generation:
        try:
            generation = self._serving.queue.submit(request, expected_tokens=self._expected_tokens)
        except Refusals as error:
            raise api_error(error, timeout=self._timeout, param=field) from error
        return self._held.enter_context(generation)

    @property
    def _expected_tokens(self) -> int:
        """Return how many tokens of an answer the queue counts on; 0 = as many as were asked for."""
        return 0 if self._options.max_tokens else _EXPECTED_TOKENS

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Yield what is new as it comes, of all answers to their ends; raise the ApiError of an engine that failed."""
        try:
            async with aclosing(merge([_tagged(prompt) for prompt in self._prompts])) as steps:
                async for prompt, step in steps:
                    answer = prompt.answers[step.choice]
                    self._cached += step.cached_tokens
                    if answer.ended:
                        continue  # it met a stop string, and the other choices of its prompt go on
                    piece = answer.take(step)
                    if piece.finish_reason is not None:
                        self._ended(prompt, piece.finish_reason)
                    if piece.text or piece.finish_reason is not None or piece.logprobs:
                        yield piece
        except EngineError as error:
            raise api_error(error, timeout=self._timeout, param="") from error

    def _ended(self, prompt: _Prompt, reason: FinishReason) -> None:
        """Count an answer; with the last one to its prompt nothing more is wanted of the engine."""
        self._metrics.generation.answered(reason)
        if prompt.generation is not None and all(each.ended for each in prompt.answers):
            prompt.generation.close()

    @property
    def count(self) -> int:
        """Return how many answers there will be."""
        return len(self._prompts) * self._options.n

    @property
    def usage(self) -> Usage:
        """Return the tokens so far."""
        prompt_tokens = sum(prompt.tokens for prompt in self._prompts)
        return Usage(prompt_tokens, sum(answer.tokens for answer in self._answers), self._cached)

    @property
    def _answers(self) -> list[Decoding]:
        return [answer for prompt in self._prompts for answer in prompt.answers]


async def _tagged(prompt: _Prompt) -> AsyncIterator[tuple[_Prompt, Step]]:
    if prompt.generation is None:
        for choice in range(len(prompt.answers)):
            yield prompt, Step(0, choice, finish="length")
        return
    async for step in prompt.generation:
        yield prompt, step
