"""Which texts a model may compute together: tried at load, on real inputs, against what it makes of each text alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import EngineLoadError


class Company(StrEnum):
    """Which texts go through a model together."""

    PADDED = "padded"  # any, the shorter ones padded
    EQUAL_LENGTHS = "equal-lengths"
    ONE_AT_A_TIME = "one-at-a-time"


class Encoder(Protocol):
    """What computes vectors."""

    pad_id: int

    def embed(
        self, ids: NDArray[np.int64], mask: NDArray[np.int64], lengths: NDArray[np.int32], skips: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return (rows, dimensions) of right-padded (rows, columns); the first `skips` tokens of a row are not pooled."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found; `reason` says what differed, and is empty where nothing did."""

    company: Company
    reason: str = ""


def choose_company(encoder: Encoder, texts: Sequence[Sequence[int]], tolerance: float) -> Choice:
    """Compare the vectors of texts (token ids, sorted by length, of at least three lengths) alone and together.

    The difference of two vectors is the length of what one has and the other has not, by the length of the first;
    `tolerance` is that of rounding. Raises EngineLoadError for a model that gives one text two vectors, or none.
    """
    alone = [compute_alone(encoder, text) for text in texts]
    if not np.isfinite(alone).all():
        return Choice(Company.PADDED)  # warm-up tells it, of inputs that the user may know
    repeated = max(_difference(alone[place], compute_alone(encoder, texts[place])) for place in (0, -1))
    if repeated > tolerance:
        raise EngineLoadError(f"the model gives the same text another vector each time: they differ by {repeated:.2g}")
    longest = len(texts) - 1
    # Each text once beside a longer one, first and last in its batch.
    batches = [[place, place + 1] for place in range(0, longest - 1)] + [[longest, longest - 1], [0, longest]]
    padded = max(_differ(encoder, texts, alone, batch) for batch in batches)
    middle = texts[len(texts) // 2]
    other = [*middle[:1], *reversed(middle[1:-1]), *middle[-1:]]
    equal = _difference(alone[len(texts) // 2], _compute(encoder, [other, middle, other])[1])
    if equal > tolerance:
        return Choice(Company.ONE_AT_A_TIME, f"beside another text of its length a text's vector differs by {equal:.2g}")
    if padded > tolerance:
        return Choice(Company.EQUAL_LENGTHS, f"beside a longer text a text's vector differs by {padded:.2g}")
    return Choice(Company.PADDED)


def compute_alone(encoder: Encoder, text: Sequence[int]) -> NDArray[np.float32]:
    """Return the vector of token ids that are alone in their batch; raises EngineLoadError where there is none."""
    try:
        vector: NDArray[np.float32] = _compute(encoder, [text])[0]
    except (EngineLoadError, MemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        if "memory" in said:
            raise
        raise EngineLoadError(f"the model can't compute a text of {len(text)} tokens: {said}") from error
    return vector


def _differ(encoder: Encoder, texts: Sequence[Sequence[int]], alone: Sequence[NDArray[np.float32]], batch: list[int]) -> float:
    """Return the largest difference of a batch, which the model may be unable to compute at all: infinity."""
    try:
        together = _compute(encoder, [texts[place] for place in batch])
    except Exception:  # whatever the model's own code raises where it raises nothing for one text
        return float("inf")
    return max(_difference(alone[place], vector) for place, vector in zip(batch, together, strict=True))


def _compute(encoder: Encoder, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    columns = np.arange(lengths.max())
    mask = (columns < lengths[:, None]).astype(np.int64)
    ids = np.full(mask.shape, encoder.pad_id, dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    return encoder.embed(ids, mask, lengths, np.zeros_like(lengths))


def _difference(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    if not np.isfinite(found).all():
        return float("inf")
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) or 1.0))
