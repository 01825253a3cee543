"""The check at load sees what is wrong with a way of computing sequences: broken on purpose, each thing that it looks at."""

from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from pinion_runtime.engines.transformers.generation.check import (
    check_causal,
    check_one_at_a_time,
    check_slots,
    replay,
    samples,
    short_windows,
    worst_difference,
)
from pinion_runtime.engines.transformers.generation.masks import Rule, visible_keys
from pinion_runtime.engines.transformers.generation.one_at_a_time import OneAtATime
from pinion_runtime.engines.transformers.generation.precision import in_float32
from pinion_runtime.engines.transformers.generation.prefixes import LEAST
from pinion_runtime.engines.transformers.generation.sequences import Sequence
from pinion_runtime.engines.transformers.generation.slab import CannotShare
from pinion_runtime.engines.transformers.generation.slots import Slots
from pinion_runtime.errors import EngineLoadError
from tests.support.decoders import POSITIONS, Decoders, load

pytestmark = pytest.mark.model

TOLERANCE = 1e-4
IDS = list(range(5, 200))


def model_of(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def everything(rule: Rule, positions: Tensor, width: int) -> Tensor:
    return torch.ones_like(visible_keys(rule, positions, width))


def one_more(rule: Rule, positions: Tensor, width: int) -> Tensor:
    return visible_keys(rule, positions + 1, width)


def one_less(rule: Rule, positions: Tensor, width: int) -> Tensor:
    seen = visible_keys(rule, (positions - 1).clamp(min=0), width)
    seen[..., 0] = True
    return seen


def without_windows(rule: Rule, positions: Tensor, width: int) -> Tensor:
    keys = torch.arange(width)
    return keys[None, None, None] <= positions[:, None, :, None]


def of_the_first_row(rule: Rule, positions: Tensor, width: int) -> Tensor:
    return visible_keys(rule, positions[:1].expand_as(positions), width)


@pytest.mark.parametrize(("name", "packed"), [("llama", True), ("llama", False), ("gemma2", False), ("gpt2", True)])
@pytest.mark.parametrize("visible", [everything, one_more, one_less, of_the_first_row])
def test_a_wrong_mask_is_seen(decoders: Decoders, name: str, packed: bool, visible: Any) -> None:
    with pytest.raises(CannotShare, match="logits of sequences that are computed together differ by"):
        check_slots(model_of(decoders.make(name)), IDS, POSITIONS, TOLERANCE, visible, packed=packed)


@pytest.mark.parametrize("name", ["mistral with a window", "mistral with a long window", "gemma3_text"])
def test_a_window_that_is_left_out_is_seen(decoders: Decoders, name: str) -> None:
    model = model_of(decoders.make(name))
    window = model.config.sliding_window
    check_slots(model, IDS, POSITIONS, TOLERANCE)
    with pytest.raises(CannotShare, match="differ by"):
        check_slots(model, IDS, POSITIONS, TOLERANCE, without_windows)
    assert model.config.sliding_window == window, "the model's own window is back, after a failure too"


class BrokenSlots(Slots):
    """Slots with one mistake."""

    def __init__(self, model: Any, mistake: str, *, packed: bool = True) -> None:
        super().__init__(model, 3, 80, packed=packed)
        self.mistake = mistake
        self.used: set[str] = set()

    def start(self, sequence: Sequence) -> None:
        super().start(sequence)
        if sequence.computed >= LEAST and self.mistake == "a prefix taken too long":
            self.used.add(self.mistake)
            sequence.computed += 1

    def groups(self, sequences: Many[Sequence], apart: Many[Many[Sequence]] = ()) -> list[list[Sequence]]:
        before = [id(row.sequence) for row in self._rows]
        found = super().groups(sequences, apart)
        if [id(row.sequence) for row in self._rows] != before and self.mistake == "rows that move without their keys":
            self.used.add(self.mistake)
            for tensor in self.slab._tensors():
                tensor.copy_(tensor.roll(1, 0))
        return found

    def compute(self, group: Many[Sequence], counts: Many[int]) -> Tensor:
        if len(set(counts)) > 1 and self.mistake == "logits of the longest":
            self.used.add(self.mistake)
            logits = super().compute(group, counts)
            return logits[[max(range(len(group)), key=lambda row: counts[row])] * len(group)]
        return super().compute(group, counts)


@pytest.mark.parametrize(
    "mistake", ["a prefix taken too long", "rows that move without their keys", "logits of the longest", ""]
)
@pytest.mark.parametrize("packed", [True, False])
def test_each_thing_that_sequences_go_through_is_looked_at(decoders: Decoders, mistake: str, packed: bool) -> None:
    model = model_of(decoders.make("llama"))
    wanted = samples(model, IDS, 16, POSITIONS)
    slots = BrokenSlots(model, mistake, packed=packed)
    difference = worst_difference(wanted, replay(slots, wanted, 500))
    assert slots.used == ({mistake} if mistake else set())
    assert (difference > TOLERANCE) is bool(mistake)


@pytest.mark.parametrize("packed", [True, False])
def test_passes_have_few_shapes(decoders: Decoders, packed: bool) -> None:
    """Torch keeps compiled code for each shape it ever saw: some hundred MiB for prompts and answers of all lengths."""
    model = model_of(decoders.make("llama"))
    tokens, widths = set(), set()

    def visible(rule: Rule, positions: Tensor, width: int) -> Tensor:
        widths.add(width)
        return visible_keys(rule, positions, width)

    def note(layer: Any, given: tuple[Tensor, ...]) -> None:
        tokens.add(tuple(given[0].shape[:2]))

    model.model.layers[0].mlp.register_forward_pre_hook(note)
    slots = Slots(model, 3, POSITIONS, visible, packed=packed)
    for window in (5, 16, 43):
        wanted = samples(model, IDS, window, POSITIONS)
        tokens.clear()  # of generate
        assert worst_difference(wanted, replay(slots, wanted, 500)) <= TOLERANCE
        if packed:
            assert {one[0] for one in tokens} == {1}
            assert {one[1] for one in tokens} <= {1, 2, 3, 16, 32}
        else:
            assert {one[1] for one in tokens} == {1, 16}
    assert widths <= set(range(32, POSITIONS + 1, 32))


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "original_max_position_embeddings": 128,
    "short_factor": [1.0] * 8,
    "long_factor": [4.0] * 8,
}


def test_texts_that_change_those_beside_them_when_they_get_long_are_seen(decoders: Decoders) -> None:
    """All positions of a pass are turned by the furthest of them; short texts alone do not show it."""
    model = model_of(decoders.make("llama", rope_parameters=LONGROPE))
    check_slots(model, IDS, 128, TOLERANCE)
    with pytest.raises(CannotShare, match="where another text of the same pass is 256 tokens long"):
        check_slots(model, IDS, POSITIONS, TOLERANCE)


def test_attention_that_changes_by_a_count_of_all_sequences_is_refused(decoders: Decoders) -> None:
    """As Llama 4's does: short texts alone do not show it."""
    model = model_of(decoders.make("llama"))
    model.config.attn_temperature_tuning, model.config.floor_scale = True, 128
    check_slots(model, IDS, 128, TOLERANCE)
    with pytest.raises(CannotShare, match="its attention changes past 128 tokens"):
        check_slots(model, IDS, 129, TOLERANCE)


def test_the_context_ends_where_the_rope_changes(decoders: Decoders) -> None:
    found = load(decoders.make("llama", rope_parameters=LONGROPE)).capabilities
    assert (found.engine, found.context_length) == ("transformers/slots", 128)
    assert found.engine_reason == "the context ends where its rope changes (longrope): after 128 of 256 tokens"


def test_a_layer_that_keeps_nothing_is_seen(decoders: Decoders) -> None:
    """Of a model that has more layers than go through the cache."""
    model = model_of(decoders.make("llama"))
    layers = model.model.layers
    layers[1].self_attn.layer_idx = 0  # its keys go where those of the first layer are
    with pytest.raises(CannotShare, match="layers 1 keep nothing in the cache"):
        check_slots(model, IDS, POSITIONS, TOLERANCE)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gemma2", "prompts are computed in passes of their own: AttributeError: 'WholeSlab'"),
        ("minicpm3", "prompts are computed in passes of their own: AttributeError: 'WholeSlab'"),
        ("gpt_neo", "logits of sequences that are computed together differ by"),
        ("bloom", "forward takes no cache, or no positions"),
        ("lfm2", "it has layers of types conv"),
        ("mamba", "it has layers of types linear_attention"),
    ],
)
def test_the_reason_is_told(decoders: Decoders, name: str, reason: str) -> None:
    assert load(decoders.make(name)).capabilities.engine_reason.startswith(reason)


class BrokenOneAtATime(OneAtATime):
    """Forgets what it computed before the last token."""

    def compute(self, group: Many[Sequence], counts: Many[int]) -> Tensor:
        self._cache = None
        return super().compute(group, counts)


def test_one_at_a_time_is_compared_too(decoders: Decoders) -> None:
    model = model_of(decoders.make("llama"))
    wanted = samples(model, IDS, 16, POSITIONS)[:2]
    assert worst_difference(wanted, replay(OneAtATime(model), wanted, 500)) < TOLERANCE
    assert worst_difference(wanted, replay(BrokenOneAtATime(model), wanted, 500)) > TOLERANCE


def test_a_model_that_can_not_be_computed_step_by_step_is_refused(decoders: Decoders) -> None:
    """Its logits change from call to call."""
    model = model_of(decoders.make("bloom", hidden_dropout=0.5)).train()
    with pytest.raises(EngineLoadError, match=r"can't be computed step by step: its logits differ by .*; without a mask"):
        check_one_at_a_time(model, IDS, POSITIONS, TOLERANCE)


def test_a_model_that_looks_ahead_continues_nothing(decoders: Decoders) -> None:
    folder = decoders.make("bert")
    with pytest.raises(EngineLoadError, match="the logits of a token depend on the tokens after it"):
        load(folder)
    check_causal(model_of(decoders.make("llama")), IDS, POSITIONS)


def test_long_windows_are_short_during_the_check_alone(decoders: Decoders) -> None:
    config = model_of(decoders.make("mistral with a long window")).config
    with short_windows(config) as window:
        assert (window, config.sliding_window) == (16, 16)
    assert config.sliding_window == 100


def test_half_precision_comes_back_bit_by_bit(decoders: Decoders) -> None:
    model = AutoModelForCausalLM.from_pretrained(decoders.make("llama", dtype="bfloat16"), dtype="bfloat16")
    before = {name: (part.data_ptr(), part.dtype) for name, part in (*model.named_parameters(), *model.named_buffers())}
    with in_float32(model, wanted=True):
        assert {part.dtype for part in model.parameters()} == {torch.float32}
    after = {name: (part.data_ptr(), part.dtype) for name, part in (*model.named_parameters(), *model.named_buffers())}
    assert after == before


def test_a_short_context_is_checked_within_its_length(decoders: Decoders) -> None:
    for positions in (2, 3, 8, 20):
        decoder = load(decoders.make("gpt2", n_positions=positions))
        assert (decoder.capabilities.engine, decoder.capabilities.context_length) == ("transformers/slots", positions)
