"""Log-probabilities of the model's own distribution, for the rows that asked for them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...protocol import TokenLogprobs


def find_logprobs(logits: Tensor, tokens: Sequence[int], counts: Sequence[int]) -> list[TokenLogprobs]:
    """Return those of one token of each row of (rows, vocabulary), and of as many of the likeliest as `counts` says."""
    logprobs = torch.log_softmax(logits.float(), -1)
    chosen = logprobs.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0].tolist()
    return [
        TokenLogprobs(logprob, *(_likeliest(row, count) if count > 0 else ([], [])))
        for row, logprob, count in zip(logprobs, chosen, counts, strict=True)
    ]


def _likeliest(logprobs: Tensor, count: int) -> tuple[list[int], list[float]]:
    """Return the likeliest ids, of equals those with the lowest ids, and their log-probabilities."""
    count = min(count, len(logprobs))
    last = logprobs.topk(count).values[-1]
    above = (logprobs > last).nonzero()[:, 0]
    equals = (logprobs == last).nonzero()[: count - len(above), 0]
    ids = torch.cat([above, equals])
    values = logprobs[ids].cpu().numpy()
    order = np.argsort(-values, kind="stable")
    return ids.cpu().numpy()[order].tolist(), values[order].tolist()
