"""Carries out one batch: groups, forward passes, and an outcome for each part that does not depend on its neighbours."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import Cancelled, ComputeFailed, DeadlineExceeded, EngineError, EngineOutOfMemory, NonFiniteResult
from ..protocol import Batch, Failure, Outcome
from . import company
from .company import Company
from .grouping import group_by_length, group_equal, pad_rows


class Encoder(company.Encoder, Protocol):
    """What a batch is carried out with."""

    company: Company


class BatchRun:
    """One batch; `outcomes` after `run` has one entry per part, in order."""

    def __init__(
        self,
        batch: Batch,
        encoder: Encoder,
        *,
        cancelled: Callable[[], set[int]],
        out_of_memory: Callable[[BaseException], bool],
        max_group_tokens: int,
    ) -> None:
        self._batch, self._encoder = batch, encoder
        self._cancelled, self._out_of_memory, self._max_group_tokens = cancelled, out_of_memory, max_group_tokens
        self._lengths = np.frombuffer(batch.lengths, dtype=np.int32)
        self._tokens = np.frombuffer(batch.tokens, dtype=np.int32)
        self._offsets = np.cumsum(self._lengths, dtype=np.int64) - self._lengths
        self._owner = np.repeat(np.arange(len(batch.parts)), [part.texts for part in batch.parts])
        self._skips = np.repeat(
            np.array([part.skip for part in batch.parts], dtype=np.int32), [part.texts for part in batch.parts]
        )
        self._failures: dict[int, EngineError] = {}
        self._vectors: NDArray[np.float32] | None = None
        self.padded_tokens = 0

    def run(self) -> list[Outcome]:
        """Compute what is still wanted."""
        for group, longest in self._groups():
            self._drop_unwanted()
            wanted = group[[owner not in self._failures for owner in self._owner[group].tolist()]] if self._failures else group
            if len(wanted):
                self._compute(wanted, longest)
        return self._outcomes()

    def _groups(self) -> list[tuple[NDArray[np.intp], int]]:
        match self._encoder.company:
            case Company.PADDED:
                return group_by_length(self._lengths, self._max_group_tokens)
            case Company.EQUAL_LENGTHS:
                return group_equal(self._lengths, self._max_group_tokens)
            case Company.ONE_AT_A_TIME:
                return group_equal(self._lengths, 1)

    def _drop_unwanted(self) -> None:
        cancelled, now = self._cancelled(), time.monotonic()
        for place, part in enumerate(self._batch.parts):
            if part.key in cancelled:
                self._failures.setdefault(place, Cancelled("the request was cancelled"))
            elif part.deadline <= now:
                self._failures.setdefault(place, DeadlineExceeded("the deadline passed before the request was computed"))

    def _compute(self, texts: NDArray[np.intp], longest: int) -> None:
        """Compute texts in one pass; when it raises, each part alone, so that only the one at fault fails."""
        lengths = self._lengths[texts]
        ids, mask = pad_rows(self._tokens, self._offsets[texts], lengths, longest, self._encoder.pad_id)
        self.padded_tokens += ids.size
        try:
            vectors = self._encoder.embed(ids, mask, lengths, self._skips[texts])
        except Exception as error:
            self._blame(texts, error)
            return
        if self._vectors is None:
            self._vectors = np.empty((len(self._lengths), vectors.shape[1]), dtype=np.float32)
        self._vectors[texts] = vectors

    def _blame(self, texts: NDArray[np.intp], error: Exception) -> None:
        owners = self._owner[texts]
        places = sorted(set(owners.tolist()))
        if len(places) > 1:
            for place in places:
                own = texts[owners == place]
                self._compute(own, int(self._lengths[own].max()))
            return
        kind = EngineOutOfMemory if self._out_of_memory(error) else ComputeFailed
        self._failures.setdefault(places[0], kind(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))

    def _outcomes(self) -> list[Outcome]:
        outcomes, start = [], 0
        vectors = self._vectors
        for place, part in enumerate(self._batch.parts):
            stop = start + part.texts
            failure = self._failures.get(place)
            if failure is None and vectors is not None and not np.isfinite(vectors[start:stop]).all():
                failure = NonFiniteResult(f"the model computed NaN or infinity for request {part.request_id}")
            if failure is not None or vectors is None:
                outcomes.append(Outcome(part.key, failure=Failure.of(failure or ComputeFailed("nothing was computed"))))
            else:
                outcomes.append(Outcome(part.key, vectors[start:stop].tobytes()))
            start = stop
        return outcomes
