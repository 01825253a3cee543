"""Log-probabilities of the model's own distribution, for the rows that asked for them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...protocol import TokenLogprobs
from .likeliest import Head, find_heads

_HEAD = 32  # ids; more than anybody may ask for, so that equals seldom stand at its end


def find_logprobs(logits: Tensor, tokens: Sequence[int], counts: Sequence[int]) -> list[TokenLogprobs]:
    """Return those of one token of each row of (rows, vocabulary), and of as many of the likeliest as `counts` says."""
    logprobs = torch.log_softmax(logits.float(), -1)
    chosen = logprobs.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0].tolist()
    if max(counts) <= 0:
        return [TokenLogprobs(logprob) for logprob in chosen]
    heads = find_heads(logprobs, logprobs, _HEAD)
    return [
        TokenLogprobs(logprob, *(_first(head, count) if count <= len(head.ids) else _likeliest(row, count)))
        for row, logprob, count, head in zip(logprobs, chosen, counts, heads, strict=True)
    ]


def _first(head: Head, count: int) -> tuple[list[int], list[float]]:
    return head.ids[:count].tolist(), head.logits[:count].tolist()


def _likeliest(logprobs: Tensor, count: int) -> tuple[list[int], list[float]]:
    """Return the likeliest ids, of equals those with the lowest ids, where a head would tear equals apart."""
    count = min(count, len(logprobs))
    last = logprobs.topk(count).values[-1]
    above = (logprobs > last).nonzero()[:, 0]
    equals = (logprobs == last).nonzero()[: count - len(above), 0]
    ids = torch.cat([above, equals])
    values = logprobs[ids].cpu().numpy()
    order = np.argsort(-values, kind="stable")
    return ids.cpu().numpy()[order].tolist(), values[order].tolist()
