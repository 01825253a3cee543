"""Attention of packed passes, part by part, and on a CPU as torch computes it fastest.

Where heads share keys, transformers copies the keys for each head, unless there is no mask: pieces of a long prompt took up to
three times as long so. torch's own way needs no copy.

For a single query in half precision torch leaves its fast matrix products for products of vectors, which take three to seven
times as long. Heads that share keys are queries of one head, so they go in as such; where none are shared, it goes in twice.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from .masks import PASS, PartMasks, WholeSlab

_HALF = (torch.bfloat16, torch.float16)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor | WholeSlab,
    value: Tensor | WholeSlab,
    attention_mask: Tensor | PartMasks | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Return (rows, tokens, heads, width) of queries (rows, heads, tokens, width) and keys (rows, shared heads, ...).

    In a packed pass queries are one row of all tokens, and keys and values the whole slab.
    """
    if isinstance(attention_mask, PartMasks) or isinstance(key, WholeSlab) or isinstance(value, WholeSlab):
        return _attend_parts(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs), None
    rows, heads, tokens, width = query.shape
    shared = key.shape[1]
    each = attention_mask is not None and attention_mask.shape[1] != 1  # a mask of its own for every head
    asked = any(kwargs.get(name) is not None for name in ("position_bias", "softcap"))
    plain = query.device.type == "cpu" and not each and not asked and not dropout
    if plain and attention_mask is not None and heads != shared and tokens > 1:
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=True
        )
        return out.transpose(1, 2).contiguous(), None
    if not plain or tokens > 1 or query.dtype not in _HALF:
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    queries = query.reshape(rows, shared, heads // shared, width)
    if heads == shared:
        queries = queries.expand(rows, shared, 2, width)
    out = torch.nn.functional.scaled_dot_product_attention(queries, key, value, attn_mask=attention_mask, scale=scaling)
    return out[:, :, : heads // shared].reshape(rows, 1, heads, value.shape[-1]), None


def _attend_parts(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor | WholeSlab,
    value: Tensor | WholeSlab,
    masks: Tensor | PartMasks | None,
    **kwargs: Any,
) -> Tensor:
    now = PASS.get()
    if not (isinstance(masks, PartMasks) and isinstance(key, WholeSlab) and isinstance(value, WholeSlab)) or now is None:
        raise TypeError("in a packed pass keys, values and masks of all parts go together")
    if kwargs.get("position_bias") is not None:
        raise ValueError("attention in a packed pass knows no bias of positions")
    found = []
    done = 0
    for part, mask in zip(now.parts, masks.masks, strict=True):
        rows, tokens = part.positions.shape
        queries = query[0, :, done : done + rows * tokens].view(-1, rows, tokens, query.shape[-1]).transpose(0, 1)
        keys, values = (one.states[part.start : part.stop, :, : part.width] for one in (key, value))
        out, _ = attend(module, queries, keys, values, mask, **kwargs)
        found.append(out.reshape(1, rows * tokens, *out.shape[2:]))
        done += rows * tokens
    return found[0] if len(found) == 1 else torch.cat(found, 1)


# For the whole process, since models look attention up by its name.
AttentionInterface.register("sdpa", attend)
