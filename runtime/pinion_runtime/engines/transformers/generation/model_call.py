"""How a model of transformers takes its cache, positions and mask: by the names in the signature of its forward."""

from collections.abc import Sequence
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor

from . import attention  # noqa: F401 # registers what the model's attention calls

_CACHES = ("cache", "past_key_values", "cache_params")  # transformers 5.24 renamed them all to the first


def logits_width(model: Any) -> int:
    """Return how many logits a step has: the ids that can be chosen, which may be more or fewer than the tokenizer's."""
    head = model.get_output_embeddings()
    return int(head.weight.shape[0]) if head is not None else int(model.config.get_text_config(decoder=True).vocab_size)


class ModelCall:
    """Calls a model for the logits after some of its tokens."""

    def __init__(self, model: Any) -> None:
        self.model = model
        taken = signature(model.forward).parameters
        anything = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values())
        self.cache_name = next((name for name in _CACHES if name in taken), "")
        self.takes_positions = "position_ids" in taken
        self._takes_mask = "attention_mask" in taken or anything
        self._takes_choice = "logits_to_keep" in taken
        self._takes_use_cache = "use_cache" in taken or anything

    def logits(
        self,
        ids: Tensor,
        at: Sequence[tuple[int, int]],
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Any = None,
    ) -> tuple[Tensor, Any]:
        """Return (len(at), vocabulary) after those tokens of `ids` (rows, tokens), and the model's cache."""
        given: dict[str, Any] = {}
        if self._takes_use_cache:
            given["use_cache"] = bool(self.cache_name)
        if self.cache_name and cache is not None:
            given[self.cache_name] = cache
        if positions is not None and self.takes_positions:
            given["position_ids"] = positions
        if mask is not None and self._takes_mask:
            given["attention_mask"] = mask
        kept = sorted({token for _, token in at})
        if self._takes_choice:
            given["logits_to_keep"] = torch.tensor(kept, device=ids.device)
        out = self.model(input_ids=ids, **given)
        where = {token: place for place, token in enumerate(kept)} if self._takes_choice else {token: token for token in kept}
        rows, places = [row for row, _ in at], [where[token] for _, token in at]
        logits = out.logits[torch.tensor(rows, device=ids.device), torch.tensor(places, device=ids.device)]
        return logits, next((out[name] for name in _CACHES if name in out), None)
