"""The sampler of generated tokens beside one softmax of the same logits: 16 rows of 150,000, float32, one thread."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pinion_runtime.engines.protocol import Generate, Sampling
from pinion_runtime.engines.transformers.generation.sampling import Row, choose

ROWS = 16
VOCABULARY = 150_000
TOKENS = 1000  # of the answer, for penalties
ROUNDS = 20
CASES: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "temperature 0.7": {"temperature": 0.7},
    "top_p 0.9": {"top_p": 0.9},
    "top_p 1e-5": {"top_p": 1e-5},
    "top_k 50": {"top_k": 50},
    "top_k 50, top_p 0.9": {"top_k": 50, "top_p": 0.9},
    "min_p 0.05": {"min_p": 0.05},
    "penalties": {"repetition_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.2},
}
# Standard deviations of normally distributed logits.
SCALES = {"flat": 1.0, "even": 3.0, "peaked": 8.0}


def run() -> None:
    """Print CPU times as multiples of a softmax's, the best of some rounds each, taken by turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, scale in SCALES.items():
            logits = torch.randn(ROWS, VOCABULARY, generator=torch.Generator().manual_seed(7)) * scale
            _compare(name, logits)
    finally:
        torch.set_num_threads(threads)


def _compare(name: str, logits: torch.Tensor) -> None:
    likeliest = torch.softmax(logits, -1).amax(-1).median()
    print(f"  {name} logits: the likeliest id has a probability of {likeliest:.2g}", flush=True)
    for case, sampling in CASES.items():
        rows = [_row(seed, sampling) for seed in range(ROWS)]
        softmax, ours = [], []
        for _ in range(ROUNDS):
            softmax.append(_seconds(lambda: torch.softmax(logits, -1)))
            ours.append(_seconds(lambda rows=rows: choose(logits, rows)))
        print(f"    {case:20} {1000 * min(ours):6.2f} ms, softmax {1000 * min(softmax):.2f}: {min(ours) / min(softmax):5.1f}")


def _row(seed: int, sampling: dict[str, Any]) -> Row:
    prompt = np.arange(TOKENS, dtype="<i4").tobytes()
    row = Row(Generate(seed, "", 0.0, prompt, TOKENS + 1, Sampling(seed=seed, **sampling)), 0, (), VOCABULARY)
    for token in range(TOKENS):
        row.accept(7 * token)
    return row


def _seconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began
