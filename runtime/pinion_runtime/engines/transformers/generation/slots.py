"""Slots: sequences of different lengths go through the model together, each in a row of one slab.

Packed, all sequences share one pass, those that are answered and pieces of prompts. A model of which that can't be had computes
pieces of prompts in passes of their own, and sequences of similar length in a pass.
"""

from collections.abc import Sequence as Many
from itertools import count
from typing import Any

from torch import Tensor

from .arrangement import exchanges, length_group, side_by_side
from .masks import PASS, Visible, visible_keys
from .model_call import ModelCall
from .packing import Line, pack
from .prefixes import Place, choose_start
from .sequences import Sequence
from .slab import CannotShare, Slab


class _Row:
    """A row of the slab: a running sequence, or what an ended one left there."""

    def __init__(self) -> None:
        self.sequence: Sequence | None = None
        self.left: list[int] = []
        self.owner = ""
        self.used = 0
        self.unread = False  # no token was chosen by what was left: it may hold what is no number

    @property
    def tokens(self) -> list[int]:
        return self.left if self.sequence is None else self.sequence.computed_tokens()

    @property
    def length(self) -> int:
        return len(self.left) if self.sequence is None else self.sequence.computed


class Slots:
    """Computes up to `capacity` sequences of up to `length` tokens at a time; raises CannotShare for a model that can't."""

    name = "slots"
    whole_prompts = False

    def __init__(self, model: Any, capacity: int, length: int, visible: Visible = visible_keys, *, packed: bool = True) -> None:
        self._call = ModelCall(model)
        if self._call.cache_name not in ("cache", "past_key_values") or not self._call.takes_positions:
            raise CannotShare("forward takes no cache, or no positions")
        layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
        if not isinstance(layers, int):
            raise CannotShare("its configuration tells no number of layers")
        self.capacity, self.packed, self._visible = capacity, packed, visible
        self._device = model.device
        self.slab = Slab(layers, capacity, length)
        self._rows = [_Row() for _ in range(capacity)]
        self._places: dict[int, int] = {}  # of running sequences, by their identity
        self._clock = count(1)

    @property
    def used_tokens(self) -> int:
        """Return how many tokens of running sequences lie in the slab."""
        return sum(row.sequence.computed for row in self._rows if row.sequence is not None)

    def start(self, sequence: Sequence) -> None:
        """Put a sequence into a free row, and take what is there of its prompt: of the same owner only."""
        owner = sequence.request.message.owner
        places = [Place(row.sequence is None, row.tokens, row.owner, row.used) for row in self._rows]
        found = choose_start(places, sequence.prompt, owner)
        if found is None:
            raise RuntimeError(f"all {self.capacity} slots are taken")
        if found.source != found.row:
            self.slab.copy(found.source, found.row, found.shared)
        sequence.computed = sequence.cached = found.shared
        self._take(found.row, sequence)

    def share(self, source: Sequence, sequence: Sequence) -> bool:
        """Copy the row of another choice of the same request into a free one."""
        free = [place for place, row in enumerate(self._rows) if row.sequence is None]
        if not free:
            return False
        place = min(free, key=lambda one: (bool(self._rows[one].left), self._rows[one].used))
        self.slab.copy(self._place(source), place, source.computed)
        sequence.computed = source.computed
        self._take(place, sequence)
        return True

    def groups(self, sequences: Many[Sequence], apart: Many[Many[Sequence]] = ()) -> list[list[Sequence]]:
        """Return groups of similar length, the longest first, or all as one; rows of similar length move side by side."""
        by_length: dict[int, list[Sequence]] = {}
        for sequence in sequences:
            by_length.setdefault(length_group(sequence.computed + 1), []).append(sequence)
        groups = [by_length[key] for key in sorted(by_length, reverse=True)]
        if not self.packed:
            groups += map(list, apart)
        self._arrange({id(sequence): place for place, group in enumerate(groups) for sequence in group}, len(groups))
        if self.packed:
            groups = [[*sequences, *(sequence for group in apart for sequence in group)]]
        return [sorted(group, key=self._place) for group in groups if group]

    def compute(self, group: Many[Sequence], counts: Many[int]) -> Tensor:
        """Compute the next tokens of sequences in the order of their rows; unpacked they lie side by side."""
        lines = [
            Line(self._place(sequence), sequence.computed, sequence.next_tokens(tokens))
            for sequence, tokens in zip(group, counts, strict=True)
        ]
        packing = pack(lines, self.slab.length, self._device, self._visible, packed=self.packed)
        token = PASS.set(packing.now)
        try:
            logits, _ = self._call.logits(packing.ids, packing.ends, positions=packing.positions, cache=self.slab.cache)
        finally:
            PASS.reset(token)
        for sequence, tokens in zip(group, counts, strict=True):
            sequence.computed += tokens
        return logits

    def end(self, sequence: Sequence, *, spoiled: bool) -> None:
        """Free a row; what was computed stays there for a prompt that begins alike, unless it is spoiled."""
        place = self._place(sequence)
        row = self._rows[place]
        if spoiled:
            self.slab.clear(place, 0, min(self.slab.length, sequence.computed + sequence.pending))
        row.left = [] if spoiled else sequence.computed_tokens()
        row.unread = not sequence.tokens
        row.sequence = None
        del self._places[id(sequence)]
        row.used = next(self._clock)

    def _take(self, place: int, sequence: Sequence) -> None:
        row = self._rows[place]
        if row.unread:
            self.slab.clear(place, sequence.computed, len(row.left))
        self._places[id(sequence)] = place
        row.sequence, row.left, row.owner, row.used = sequence, [], sequence.request.message.owner, next(self._clock)

    def _place(self, sequence: Sequence) -> int:
        return self._places[id(sequence)]

    def _arrange(self, classes: dict[int, int], others: int) -> None:
        """Bring rows of a class side by side: in order of classes, then other running ones, `others`, and then free ones."""
        order = [others + 1 if row.sequence is None else classes.get(id(row.sequence), others) for row in self._rows]
        if side_by_side(order, others):
            return
        for one, other in exchanges(order):
            self.slab.swap(one, other, max(self._rows[one].length, self._rows[other].length))
            self._rows[one], self._rows[other] = self._rows[other], self._rows[one]
            for place in (one, other):
                if (sequence := self._rows[place].sequence) is not None:
                    self._places[id(sequence)] = place
