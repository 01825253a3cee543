"""The loop of a decoder: requests wait, begin, get a token with every step, and end; whichever way sequences are computed."""

import time
from collections import deque
from collections.abc import Callable, Collection
from collections.abc import Sequence as Many

import numpy as np
import torch
from torch import Tensor

from ....errors import ComputeFailed, DeadlineExceeded, EngineError, EngineOutOfMemory, InvalidInput
from ...protocol import Failure, Generate, Step
from ...token_bytes import int32_bytes
from ..grouping import group_by_length
from .prefill import ChunkSize, divide
from .refusals import check_request
from .sampling import Chosen, choose
from .sequences import Request, Sequence
from .strategy import Strategy

_ANY = 1 << 30  # padded tokens of a pass: the budget bounds the rest, and padding comes only where it costs less than a pass
Choose = Callable[[Tensor, Many[Sequence]], list[Chosen]]


def sample(logits: Tensor, sequences: Many[Sequence]) -> list[Chosen]:
    """Choose the next token of each sequence as its request asks."""
    return choose(logits, [sequence.row for sequence in sequences])


class Generation:
    """Requests on their way; `step` computes, nothing else does."""

    def __init__(
        self,
        strategy: Strategy,
        *,
        context_length: int,
        vocabulary_size: int,
        end_ids: Collection[int],
        out_of_memory: Callable[[BaseException], bool],
        choose: Choose = sample,
        chunk: ChunkSize | None = None,
    ) -> None:
        self._strategy, self._choose, self._out_of_memory = strategy, choose, out_of_memory
        self._context_length, self._vocabulary_size, self._end_ids = context_length, vocabulary_size, end_ids
        self._requests: dict[int, Request] = {}
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []  # in the order of their coming
        self._steps: list[Step] = []
        self._chunk = chunk or ChunkSize()

    @property
    def running(self) -> int:
        """Return how many choices have a place in the cache."""
        return len(self._running)

    @property
    def unfinished(self) -> int:
        """Return how many choices have not ended, those included that wait."""
        return len(self._running) + len(self._waiting)

    @property
    def busy(self) -> bool:
        """Tell whether `step` has something to do or to tell."""
        return bool(self._steps or self._running or self._waiting)

    def add(self, message: Generate) -> None:
        """Queue a request; one that can't be generated fails with the next step."""
        try:
            check_request(message, self._context_length, self._vocabulary_size)
            if message.key in self._requests:
                raise InvalidInput(f"key is {message.key}: that of a request which has not ended")
            request = Request(message, self._end_ids, self._vocabulary_size)
        except EngineError as error:
            self._steps.append(Step(message.key, failure=Failure.of(error)))
            return
        self._requests[message.key] = request
        self._waiting.extend(request.open)

    def cancel(self, keys: Collection[int]) -> int:
        """End requests of which nobody wants to hear any more; return how many choices ended."""
        found = [request for key in keys if (request := self._requests.get(key)) is not None]
        ended = sum(len(request.open) for request in found)
        for request in found:
            self._end_request(request, spoiled=False)
        return ended

    @torch.inference_mode()
    def step(self) -> list[Step]:
        """Choose a token for every running sequence, and compute a piece of the prompts of those that have begun."""
        self._expire()
        self._admit()
        answered = [sequence for sequence in self._running if sequence.tokens]
        counts = {id(one): 1 for one in answered} | self._pieces(len(answered))
        fed = [sequence for sequence in self._running if not sequence.tokens and id(sequence) in counts]
        lengths = np.array([counts[id(sequence)] for sequence in fed], dtype=np.int32)
        batches = [fed] if fed else []
        if fed and not self._strategy.packed:
            batches = [[fed[place] for place in places] for places, _ in group_by_length(lengths, _ANY)]
        started = time.perf_counter()
        for group in self._strategy.groups(answered, batches):
            self._compute(group, [counts[id(sequence)] for sequence in group])
        if counts:
            self._chunk.stepped(int(lengths.sum()), time.perf_counter() - started, answered=len(answered))
        steps, self._steps = self._steps, []
        return steps

    def _pieces(self, answered: int) -> dict[int, int]:
        """Return how many tokens of the prompts that have begun are computed, by the sequences' identity."""
        begun = [sequence for sequence in self._running if not sequence.tokens]
        if not begun:
            return {}
        pending = [sequence.pending for sequence in begun]
        if self._strategy.whole_prompts:
            budget = max(pending)
        else:
            budget = self._chunk.tokens(answered=answered, begun=len(begun), packed=self._strategy.packed)
        return {id(one): tokens for one, tokens in zip(begun, divide(pending, budget), strict=True) if tokens}

    def _expire(self) -> None:
        now = time.monotonic()
        for request in [one for one in self._requests.values() if one.message.deadline <= now]:
            self._fail(request, DeadlineExceeded("the deadline passed while the request was generated"), spoiled=False)

    def _admit(self) -> None:
        """Begin what has waited longest; other choices of a request whose prompt is being computed wait for that."""
        held: list[Sequence] = []
        begun = {id(sequence.request) for sequence in self._running if not sequence.tokens}
        while self._waiting and len(self._running) < self._strategy.capacity:
            sequence = self._waiting.popleft()
            if id(sequence.request) in begun:
                held.append(sequence)
                continue
            begun.add(id(sequence.request))
            self._strategy.start(sequence)
            self._running.append(sequence)
        self._waiting.extendleft(reversed(held))

    def _compute(self, group: Many[Sequence], counts: Many[int]) -> None:
        """Compute a group in one pass; where that raises each alone, so that only the one at fault fails."""
        if not all(sequence in sequence.request.open for sequence in group):  # another choice of its request has failed
            self._compute_each(group, counts)
            return
        try:
            logits = self._strategy.compute(group, counts)
        except Exception as error:
            if len(group) == 1:
                kind = EngineOutOfMemory if self._out_of_memory(error) else ComputeFailed
                text = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
                self._fail(group[0].request, kind(text), spoiled=True)
                return
            self._compute_each(group, counts)
            return
        ready, rows = [], []
        for row, sequence in enumerate(group):
            if not sequence.pending:
                others = [] if sequence.tokens else self._with_shared_prompt(sequence)
                ready += [sequence, *others]
                rows += [row] * (1 + len(others))
        if ready:
            self._take(logits if rows == list(range(len(group))) else logits[rows], ready)

    def _compute_each(self, group: Many[Sequence], counts: Many[int]) -> None:
        for sequence, tokens in zip(group, counts, strict=True):
            if sequence in sequence.request.open:
                self._compute([sequence], [tokens])

    def _with_shared_prompt(self, leader: Sequence) -> list[Sequence]:
        """Begin the other choices of a request whose prompt has just been computed, as many as there are places for."""
        begun = []
        for sequence in leader.request.open:
            if sequence in self._waiting and self._strategy.share(leader, sequence):
                self._waiting.remove(sequence)
                self._running.append(sequence)
                begun.append(sequence)
        return begun

    def _take(self, logits: Tensor, sequences: Many[Sequence]) -> None:
        """Choose a token for each, and tell it."""
        for sequence, chosen in zip(sequences, self._choose(logits, sequences), strict=True):
            request = sequence.request
            if sequence not in request.open:
                continue  # another choice of it has just failed
            if chosen.failure is not None:
                self._fail(request, chosen.failure, spoiled=True)
                continue
            finish = sequence.accept(chosen.token)
            cached = 0 if request.told_cached else sequence.cached
            request.told_cached = True
            self._steps.append(
                Step(
                    request.message.key,
                    sequence.choice,
                    ids=int32_bytes([chosen.token]),
                    logprobs=[] if chosen.logprobs is None else [chosen.logprobs],
                    finish=finish,
                    cached_tokens=cached,
                )
            )
            if finish:
                self._end(sequence, spoiled=False)
                if not request.open:
                    del self._requests[request.message.key]

    def _fail(self, request: Request, error: EngineError, *, spoiled: bool) -> None:
        self._end_request(request, spoiled=spoiled)
        self._steps.append(Step(request.message.key, failure=Failure.of(error)))

    def _end_request(self, request: Request, *, spoiled: bool) -> None:
        for sequence in list(request.open):
            self._end(sequence, spoiled=spoiled)
        del self._requests[request.message.key]

    def _end(self, sequence: Sequence, *, spoiled: bool) -> None:
        sequence.request.open.remove(sequence)
        if sequence in self._running:
            self._running.remove(sequence)
            self._strategy.end(sequence, spoiled=spoiled)
        else:
            self._waiting.remove(sequence)
