"""A model in float32 for a while: in half precision a wrong mask may hide in the noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def half_bytes(model: Any) -> int:
    """Return how many bytes the model's parts in half precision have."""
    return sum(part.numel() * part.element_size() for part in _parts(model) if part.element_size() == 2)


@contextmanager
def in_float32(model: Any, *, wanted: bool) -> Iterator[None]:
    """Widen parameters and buffers of half precision where that is wanted, and put the very same ones back afterwards."""
    half = [part for part in _parts(model) if part.dtype in (torch.bfloat16, torch.float16)] if wanted else []
    kept = [(part, part.data) for part in half]
    try:
        for part, data in kept:
            part.data = data.float()
        yield
    finally:
        for part, data in kept:
            part.data = data


def _parts(model: Any) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
