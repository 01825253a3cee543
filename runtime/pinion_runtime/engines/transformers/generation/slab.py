"""Keys and values of many sequences in one piece of memory: position p of a sequence lies at index p of its row."""

import mmap
from math import prod
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from .masks import PASS, WholeSlab


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

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor] | tuple[WholeSlab, WholeSlab]:
        """Write the keys and values of the pass at hand; return what its queries may look at."""
        now = PASS.get()
        rows, _, tokens, _ = key_states.shape
        if now is None or rows != (1 if now.packed else len(now.parts[0].positions)) or rows * tokens != len(now.rows):
            raise CannotShare(f"a layer writes keys of shape {tuple(key_states.shape)} where one for each token is expected")
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.writes += 1
        part = now.parts[0]
        if rows == 1 and len(now.parts) == 1 and part.stop - part.start == 1 and not part.padded:
            span = slice(part.first[0], part.first[0] + tokens)
            self.keys[part.start, :, span], self.values[part.start, :, span] = key_states[0], value_states[0]
        else:
            place = (now.rows, slice(None), now.positions)
            self.keys[place], self.values[place] = (one.transpose(1, 2).flatten(0, 1) for one in (key_states, value_states))
        if now.packed:
            return WholeSlab(self.keys), WholeSlab(self.values)
        return self.keys[part.start : part.stop, :, : part.width], self.values[part.start : part.stop, :, : part.width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many keys are looked at, and the position of the first."""
        now = PASS.get()
        return (query_length if now is None else now.width), 0

    def get_seq_length(self) -> int:
        """Return how many keys the pass at hand looks at beside its own: some models make a bias for as many and its tokens.

        Packed there is no such number for all, and a bias is not taken.
        """
        now = PASS.get()
        return 0 if now is None or now.packed else now.width - now.parts[0].positions.shape[1]

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

    def clear(self, row: int, start: int, stop: int) -> None:
        """Put zeros over positions of a row: a key that is no number spoils what does not even look at it."""
        for tensor in self._tensors():
            tensor[row, :, start:stop] = 0

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
