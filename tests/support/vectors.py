"""Vectors of an encoder in this process, and how far they are from those of sentence-transformers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from pinion_runtime.engines.protocol import Batch, EngineSpec, Outcome, Part
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.engines.transformers.batches import BatchRun
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.engines.transformers.loading import is_out_of_memory
from pinion_runtime.model.tokenizing import Tokenizer

TOLERANCE = 1e-5
LATER = 1e12  # a deadline that does not pass


def answered(answer: httpx.Response) -> NDArray[np.float32]:
    """Return the vectors of an answer of /v1/embeddings; fail with its text where it is none."""
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)


def run(encoder: TransformersEncoder, requests: Sequence[Sequence[Sequence[int]]]) -> list[Outcome]:
    """Carry out one batch of several requests."""
    parts, lengths, tokens = [], [], b""
    for key, texts in enumerate(requests):
        parts.append(Part(key, str(key), LATER, len(texts), sum(map(len, texts))))
        lengths += [len(text) for text in texts]
        tokens += b"".join(int32_bytes(text) for text in texts)
    batch = Batch(1, parts, int32_bytes(lengths), tokens)
    return BatchRun(batch, encoder, cancelled=set, out_of_memory=is_out_of_memory, max_group_tokens=2048).run()


def embed(encoder: TransformersEncoder, tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of texts that share a batch, each in a request of its own."""
    outcomes = run(encoder, [[ids] for ids in tokenizer.encode(texts, truncate=True)])
    assert [outcome.failure for outcome in outcomes] == [None] * len(texts)
    return np.stack([np.frombuffer(outcome.vectors, "<f4") for outcome in outcomes])


def largest_difference(path: Path, reference: Callable[[Path], Any], texts: Sequence[str]) -> float:
    """Compare a folder's vectors, batched together, with the reference's, one at a time."""
    encoder = TransformersEncoder(EngineSpec(path))
    tokenizer = Tokenizer.from_snapshot(path, encoder.tokenizer)
    expected = np.stack([reference(path).encode([text])[0] for text in texts])
    ours = embed(encoder, tokenizer, texts)
    assert ours.shape == expected.shape == (len(texts), encoder.capabilities.dimensions)
    return float(np.abs(ours - expected).max())
