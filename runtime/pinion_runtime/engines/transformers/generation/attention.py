"""Attention of one query a row in half precision on a CPU, as torch computes it fastest.

For a single query torch leaves its fast matrix products for products of vectors, which take three to seven times as long. Heads
that share keys are queries of one head, so they go in as such; where none are shared, the query goes in twice.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

_HALF = (torch.bfloat16, torch.float16)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Return (rows, tokens, heads, width) of queries (rows, heads, tokens, width) and keys (rows, shared heads, ...)."""
    rows, heads, tokens, width = query.shape
    shared = key.shape[1]
    each = attention_mask is not None and attention_mask.shape[1] != 1  # a mask of its own for every head
    asked = any(kwargs.get(name) is not None for name in ("position_bias", "softcap"))
    slow = tokens == 1 and query.device.type == "cpu" and query.dtype in _HALF
    if not slow or each or asked or dropout:
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    queries = query.reshape(rows, shared, heads // shared, width)
    if heads == shared:
        queries = queries.expand(rows, shared, 2, width)
    out = torch.nn.functional.scaled_dot_product_attention(queries, key, value, attn_mask=attention_mask, scale=scaling)
    return out[:, :, : heads // shared].reshape(rows, 1, heads, value.shape[-1]), None


# For the whole process, since models look attention up by its name.
AttentionInterface.register("sdpa", attend)
