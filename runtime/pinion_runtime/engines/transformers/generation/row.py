"""One sequence as the sampler sees it: what was asked for, what came so far, and its own random numbers."""

import random
from collections.abc import Collection

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ....errors import InvalidInput
from ...protocol import Generate

GREEDY_BELOW = 1e-4  # of the temperature: the likeliest token is taken

Ids = NDArray[np.int64]
Numbers = NDArray[np.float32]


class Counts:
    """How often each id came, as arrays that grow in place: a step reads them, and never builds them again."""

    def __init__(self, ids: Ids) -> None:
        unique, counts = np.unique(ids, return_counts=True)
        self._places = {token: place for place, token in enumerate(unique.tolist())}
        self._ids, self._counts = unique, counts.astype(np.float32)

    def add(self, token: int) -> None:
        """Count one more."""
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._ids):
            room = max(64, place)
            self._ids = np.concatenate([self._ids, np.zeros(room, np.int64)])
            self._counts = np.concatenate([self._counts, np.zeros(room, np.float32)])
        self._ids[place] = token
        self._counts[place] += 1

    @property
    def ids(self) -> Ids:
        """Return each id that came, once."""
        return self._ids[: len(self._places)]

    @property
    def counts(self) -> Numbers:
        """Return how often, in the order of `ids`."""
        return self._counts[: len(self._places)]


class Row:
    """One choice of a request; `accept` is told each token that the sequence goes on with.

    Raises InvalidInput for a bias of an id that the model has no logit for.
    """

    def __init__(self, request: Generate, choice: int, end_ids: Collection[int], vocabulary_size: int) -> None:
        self.request_id = request.request_id
        sampling = request.sampling
        if sampling.top_k >= vocabulary_size:
            sampling = replace(sampling, top_k=0)
        self.sampling = sampling
        self.logprobs = request.logprobs
        self._random = random.Random((sampling.seed + choice) % 2**64)
        self._accepted, self._min_tokens = 0, request.min_tokens
        # Ids past the logits' end stand in some prompts and configurations: more words than outputs. They can't be chosen.
        prompt = np.frombuffer(request.prompt, "<i4").astype(np.int64)
        self.seen = Counts(prompt[prompt < vocabulary_size]) if sampling.repetition_penalty != 1 else None
        penalised = sampling.presence_penalty != 0 or sampling.frequency_penalty != 0
        self.answered = Counts(np.empty(0, np.int64)) if penalised else None
        self.bias_ids = np.fromiter(sampling.logit_bias.keys(), np.int64)
        self.bias = np.fromiter(sampling.logit_bias.values(), np.float32)
        if outside := [token for token in sampling.logit_bias if not 0 <= token < vocabulary_size]:
            raise InvalidInput(f"logit_bias: id {outside[0]} is not below {vocabulary_size}, the size of the vocabulary")
        ending = {*request.stop_ids, *(() if request.ignore_end else end_ids)}
        self._ending = np.array(sorted(token for token in ending if 0 <= token < vocabulary_size), np.int64)
        self.greedy = sampling.temperature < GREEDY_BELOW or request.sampling.top_k == 1
        self.truncated = sampling.top_p < 1 or sampling.top_k > 0 or sampling.min_p > 0

    def accept(self, token: int) -> None:
        """Take note of the sequence's next token."""
        self._accepted += 1
        for counts in (self.seen, self.answered):
            if counts is not None:
                counts.add(token)

    def draw(self) -> float:
        """Return the next of its random numbers, at least 0 and below 1."""
        return self._random.random()

    @property
    def masked_ids(self) -> Ids:
        """Return the ids that may not come yet: those that would end the answer before its least length."""
        return self._ending if self._accepted < self._min_tokens else self._ending[:0]

    @property
    def adjusted(self) -> bool:
        """Tell whether logits are changed before a token is chosen."""
        return bool(self.seen is not None or self.answered is not None or len(self.bias_ids) > 0 or len(self.masked_ids) > 0)
