"""Keys and values of many sequences in one piece of memory: position p of a sequence lies at index p of its row."""

import mmap
from math import prod
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from .masks import PASS


class CannotShare(Exception):
    """This model's sequences can't go through it together; the message says what was found."""


class SlabLayer(CacheLayerMixin):  # type: ignore[misc] # transformers has no types
    """The keys and values of one layer, (rows, heads, positions, width of a head) each; made with the first pass."""

    is_compileable = False
    is_sliding = False

    def __init__(self, rows: int, length: int) -> None:
        super().__init__()
        self._rows, self._length = rows, length
        self.writes = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room for heads as many and as wide as these."""
        self.keys, self.values = (
            _zeros((self._rows, states.shape[1], self._length, states.shape[3]), states.dtype, states.device)
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the keys and values of the pass at hand; return what its queries may look at."""
        now = PASS.get()
        if now is None or key_states.shape[0] != len(now.positions) or key_states.shape[2] != now.positions.shape[1]:
            raise CannotShare(f"a layer writes keys of shape {tuple(key_states.shape)} where one for each token is expected")
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.writes += 1
        keys, values = self.keys[now.start : now.stop], self.values[now.start : now.stop]
        if len(keys) == 1 and not now.padded:
            span = slice(now.first[0], now.first[0] + key_states.shape[2])
            keys[0, :, span], values[0, :, span] = key_states[0], value_states[0]
        else:
            place = (torch.arange(len(keys), device=keys.device)[:, None], slice(None), now.positions)
            keys[place], values[place] = key_states.transpose(1, 2), value_states.transpose(1, 2)
        return keys[:, :, : now.width], values[:, :, : now.width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many keys are looked at, and the position of the first."""
        now = PASS.get()
        return (query_length if now is None else now.width), 0

    def get_seq_length(self) -> int:
        """Return how many keys the pass at hand looks at beside its own: some models make a bias for as many and its tokens."""
        now = PASS.get()
        return 0 if now is None else now.width - now.positions.shape[1]

    def get_max_length(self) -> int:
        """Return how many tokens a row has room for."""
        return self._length

    get_max_cache_shape = get_max_length  # its name until transformers 5.23


class Slab:
    """All layers; rows are moved and copied in all of them."""

    def __init__(self, layers: int, rows: int, length: int) -> None:
        self.layers = [SlabLayer(rows, length) for _ in range(layers)]
        self.cache = Cache(layers=self.layers)
        self.length = length

    def swap(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first `tokens` of two rows."""
        for tensor in self._tensors():
            first, second = tensor[one, :, :tokens], tensor[other, :, :tokens]
            kept = first.clone()
            first.copy_(second)
            second.copy_(kept)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` of a row."""
        for tensor in self._tensors():
            tensor[target, :, :tokens] = tensor[source, :, :tokens]

    def clear(self, row: int, tokens: int) -> None:
        """Put zeros over the first `tokens` of a row: a key that is no number spoils what does not even look at it."""
        for tensor in self._tensors():
            tensor[row, :, :tokens] = 0

    @property
    def silent_layers(self) -> list[int]:
        """Return the layers that have never written."""
        return [place for place, layer in enumerate(self.layers) if not layer.writes]

    @property
    def token_values(self) -> int:
        """Return how many numbers are kept of one token of one sequence; after the first pass."""
        return sum(tensor[0, :, 0].numel() for tensor in self._tensors())

    def _tensors(self) -> list[Tensor]:
        return [tensor for layer in self.layers if layer.is_initialized for tensor in (layer.keys, layer.values)]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros; on a CPU from the system, so that only what has been written takes memory."""
    size = prod(shape) * dtype.itemsize
    if device.type != "cpu" or not size:
        return torch.zeros(shape, dtype=dtype, device=device)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(memory, dtype=dtype).view(shape)
