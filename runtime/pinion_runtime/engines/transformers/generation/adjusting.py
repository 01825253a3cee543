"""Penalties, bias and forbidden ids: the few logits that they concern are changed, all rows of a step at once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from .row import Ids, Numbers, Row


def adjust(logits: Tensor, rows: Sequence[Row]) -> None:
    """Change float32 logits (rows, vocabulary) in place.

    In this order: repetition penalty, presence and frequency penalties, bias, ids that may not come yet.
    """
    at, penalties = _gather(logits, rows, _repetition)
    if len(at):
        flat = logits.view(-1)
        values = flat[at]
        flat[at] = torch.where(values < 0, values * penalties, values / penalties)
    for part in (_answer_penalties, _bias, _masks):
        at, amounts = _gather(logits, rows, part)
        if len(at):
            logits.view(-1)[at] += amounts  # no id comes twice in one part


def _gather(logits: Tensor, rows: Sequence[Row], part: Callable[[Row], tuple[Ids, Numbers]]) -> tuple[Tensor, Tensor]:
    """Return the places that one kind of change concerns in the flattened logits, and its numbers."""
    places: list[Ids] = [np.empty(0, np.int64)]
    numbers: list[Numbers] = [np.empty(0, np.float32)]
    for position, row in enumerate(rows):
        ids, values = part(row)
        if len(ids):
            places.append(ids + position * logits.shape[1])
            numbers.append(values)
    at, amounts = torch.from_numpy(np.concatenate(places)), torch.from_numpy(np.concatenate(numbers))
    return at.to(logits.device), amounts.to(logits.device)


def _repetition(row: Row) -> tuple[Ids, Numbers]:
    if row.seen is None:
        return _NOTHING
    return row.seen.ids, np.full(len(row.seen.ids), row.sampling.repetition_penalty, np.float32)


def _answer_penalties(row: Row) -> tuple[Ids, Numbers]:
    if row.answered is None:
        return _NOTHING
    presence, frequency = np.float32(row.sampling.presence_penalty), np.float32(row.sampling.frequency_penalty)
    return row.answered.ids, -(presence + frequency * row.answered.counts)


def _bias(row: Row) -> tuple[Ids, Numbers]:
    return row.bias_ids, row.bias


def _masks(row: Row) -> tuple[Ids, Numbers]:
    # Added and not written, so that a NaN or an infinity of the model's stays one and is found.
    return row.masked_ids, np.full(len(row.masked_ids), -np.inf, np.float32)


_NOTHING = (np.empty(0, np.int64), np.empty(0, np.float32))
