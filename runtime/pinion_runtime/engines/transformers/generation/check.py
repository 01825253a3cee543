"""Compares a strategy with the model's own `generate` at load: the logits of every step, of sequences that come and go.

Equal tokens would say little: small models and trained ones repeat themselves.
"""

import random
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Many
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from ....errors import EngineLoadError, ErrorCode
from ...protocol import Generate, Sampling
from ...token_bytes import int32_bytes
from ..loading import is_out_of_memory
from .generation import Generation
from .masks import Visible, visible_keys
from .model_call import logits_width
from .one_at_a_time import OneAtATime
from .prefill import ChunkSize
from .sampling import Chosen
from .sequences import Sequence
from .slab import CannotShare
from .slots import Slots
from .strategy import Strategy

_LAYER_TYPES = {"full_attention", "sliding_attention", "chunked_attention"}  # all their state is keys and values
_WINDOWS = ("sliding_window", "attention_chunk_size")
_WINDOW = 16  # that a longer one is made for the check: the same code, and short texts
_AHEAD = 7  # tokens of a text whose last one is changed
_DEPENDS = 1e-2  # a larger difference of two logits, by the largest one, is no rounding, in half precision either
_ROWS = 3  # slots of the check
_NEVER = float("inf")


@dataclass(frozen=True)
class Sample:
    """A text that `generate` has continued: the tokens it chose, and the logits (tokens, vocabulary) it chose by."""

    prompt: list[int]
    tokens: list[int]
    logits: Tensor


@contextmanager
def short_windows(config: Any) -> Iterator[int]:
    """Shorten the windows of attention while masks are made for the check, since they are read with every pass."""
    text = config.get_text_config(decoder=True)
    long = {name: size for name in _WINDOWS if isinstance(size := getattr(text, name, None), int) and size > _WINDOW}
    try:
        for name in long:
            setattr(text, name, _WINDOW)
        found = [size for name in _WINDOWS if isinstance(size := getattr(text, name, None), int) and size > 3]
        yield min(found, default=_WINDOW)
    finally:
        for name, size in long.items():
            setattr(text, name, size)


def samples(model: Any, ids: Many[int], window: int, longest: int) -> list[Sample]:
    """Return texts of the lengths at which masks and caches go wrong, made of `ids`, of at most `longest` tokens."""
    chosen = random.Random(0)
    found: list[Sample] = []
    # Far past the window, across its border, into a slot that was used, in pieces while others are answered, and after a text
    # of which it is the beginning. The second ends first: the third, whose row is the next, is moved.
    for length, count in ((2 * window + 3, 6), (window - 2, 6), (1, 6), (window + 5, 3)):
        prompt = [chosen.choice(ids) for _ in range(max(1, min(length, longest - count)))]
        found.append(generate(model, prompt, min(count, longest - 1)))
    first = found[0]
    text = [*first.prompt, *first.tokens[:-1], *(chosen.choice(ids) for _ in range(5))]
    if len(text) + 2 <= longest:
        found.append(generate(model, text, 2))
    return found


@torch.inference_mode()
def generate(model: Any, prompt: list[int], count: int) -> Sample:
    """Continue a text with the model's own `generate`, greedily."""
    given = torch.tensor([prompt], device=model.device)
    config = GenerationConfig(
        max_new_tokens=count, min_new_tokens=count, do_sample=False, num_beams=1, use_cache=True, pad_token_id=0,
        return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    out = model.generate(given, attention_mask=torch.ones_like(given), generation_config=config)
    logits = torch.cat(out.logits).float()
    if not logits.isfinite().any(-1).all():
        raise EngineLoadError(f"the model computes NaN or infinity for a text of {len(prompt)} tokens")
    return Sample(prompt, out.sequences[0, len(prompt) :].tolist(), logits)


def check_slots(
    model: Any, ids: Many[int], longest: int, tolerance: float, visible: Visible = visible_keys, *, packed: bool = True
) -> int:
    """Raise CannotShare, with what was found, unless slots compute what `generate` does.

    Returns how many numbers are kept of a token.
    `longest` is how many tokens the model was made for, `visible` how masks are made of the model's rule.
    """
    text = model.config.get_text_config(decoder=True)
    kinds = set(getattr(text, "layer_types", None) or ())
    if not kinds <= _LAYER_TYPES:
        raise CannotShare(f"it has layers of types {', '.join(sorted(kinds - _LAYER_TYPES))}")
    if getattr(text, "attn_temperature_tuning", None) and longest > (border := getattr(text, "floor_scale", 0)):
        raise CannotShare(f"its attention changes past {border} tokens, by a count that is the same for all sequences")
    with short_windows(model.config) as window:
        wanted = samples(model, ids, window, longest)
        length = max(len(sample.prompt) + len(sample.tokens) for sample in wanted)
        slots = Slots(model, _ROWS, length, visible, packed=packed)
        found = replay(slots, wanted, logits_width(model))
    check_positions(model, ids, longest, tolerance)
    if silent := slots.slab.silent_layers:
        raise CannotShare(f"layers {', '.join(map(str, silent))} keep nothing in the cache")
    difference = worst_difference(wanted, found)
    if not difference <= tolerance:
        raise CannotShare(f"logits of sequences that are computed together differ by {difference:.2g} from those of generate")
    return slots.slab.token_values


@torch.inference_mode()
def check_positions(model: Any, ids: Many[int], longest: int, tolerance: float) -> None:
    """Raise CannotShare where a text's logits depend on where another one of the same pass stands, up to `longest` tokens."""
    tokens = min(_AHEAD, longest)
    given = torch.tensor([list(ids[:tokens])] * 2, device=model.device)
    near = torch.arange(tokens, device=model.device).expand(2, tokens)
    far = near + torch.tensor([[0], [longest - tokens]], device=model.device)
    first, second = (model(input_ids=given, position_ids=where, use_cache=False).logits[0].float() for where in (near, far))
    difference = _difference(first, second)
    if not difference <= tolerance:
        raise CannotShare(f"logits differ by {difference:.2g} where another text of the same pass is {longest} tokens long")


def check_one_at_a_time(model: Any, ids: Many[int], longest: int, tolerance: float) -> bool:
    """Raise EngineLoadError unless one sequence at a time gives what `generate` does; tell whether a mask has to go with it."""
    vocabulary_size = logits_width(model)
    found = []
    with short_windows(model.config) as window:
        wanted = samples(model, ids, window, longest)[:2]
        for masked in (True, False):
            try:
                logits = replay(OneAtATime(model, masked=masked), wanted, vocabulary_size)
            except CannotShare as error:
                found.append(str(error))
                continue
            difference = worst_difference(wanted, logits)
            if difference <= tolerance:
                return masked
            found.append(f"its logits differ by {difference:.2g} from those of its own generate")
    raise EngineLoadError(f"the model can't be computed step by step: {'; without a mask, '.join(found)}")


def check_causal(model: Any, ids: Many[int], longest: int) -> None:
    """Raise EngineLoadError for a model whose logits depend on what comes after them: it continues no text."""
    text = torch.tensor([list(ids[: min(_AHEAD, longest)])], device=model.device)
    other = text.clone()
    other[0, -1] = ids[_AHEAD]
    with torch.inference_mode():
        first, second = (model(input_ids=one).logits[0, :-1].float() for one in (text, other))
    if first.isfinite().any() and _difference(first, second) > _DEPENDS:
        raise EngineLoadError(
            "the logits of a token depend on the tokens after it: the model is made to fill gaps, not to go on"
        )


def replay(strategy: Strategy, wanted: Many[Sample], vocabulary_size: int) -> list[list[Tensor]]:
    """Compute samples again, the tokens being those of the sample; return the logits of each step.

    One ends early, one joins late, and one begins like a text that was computed before.
    """
    found: list[list[Tensor]] = [[] for _ in wanted]

    def follow(logits: Tensor, sequences: Many[Sequence]) -> list[Chosen]:
        chosen = []
        for line, sequence in zip(logits, sequences, strict=True):
            sample = sequence.request.message.key
            found[sample].append(line.float().clone())
            chosen.append(Chosen(wanted[sample].tokens[len(sequence.tokens)], None, None))
        return chosen

    generation = Generation(
        strategy,
        context_length=max(len(sample.prompt) + len(sample.tokens) for sample in wanted),
        vocabulary_size=vocabulary_size,
        end_ids=(),
        out_of_memory=is_out_of_memory,
        choose=follow,
        chunk=ChunkSize(_WINDOW),
    )
    for key in range(len(wanted)):
        sample = wanted[key]
        generation.add(Generate(key, "", _NEVER, int32_bytes(sample.prompt), len(sample.tokens), Sampling()))
        # The third comes while the first two run; the last one when the first has ended.
        _run(generation, 4 if key == 1 else 1_000 if key == len(wanted) - 2 else 0)
    _run(generation, 1_000)
    return found


def _run(generation: Generation, steps: int) -> None:
    for _ in range(steps):
        if not generation.busy:
            return
        for step in generation.step():
            if step.failure is not None and step.failure.code is ErrorCode.OUT_OF_MEMORY:
                raise step.failure.to_error()
            if step.failure is not None:
                raise CannotShare(step.failure.message)


def worst_difference(wanted: Many[Sample], found: Many[Many[Tensor]]) -> float:
    """Return the largest difference of two logits, by the largest logit."""
    return max(
        (_difference(sample.logits, torch.stack(list(logits))) if len(logits) == len(sample.tokens) else _NEVER)
        for sample, logits in zip(wanted, found, strict=True)
    )


def _difference(wanted: Tensor, found: Tensor) -> float:
    both = wanted.isfinite() | found.isfinite()  # some models rule tokens out by minus infinity
    apart = torch.where(both, (wanted - found).abs(), (wanted != found).float())
    difference = float(apart.max() / wanted[wanted.isfinite()].abs().max())
    return difference if difference == difference else _NEVER


def usable_ids(texts: Many[Many[int]], special: Collection[int]) -> list[int]:
    """Return token ids of real texts, without special ones, in an order of no meaning; more than 7."""
    found = sorted({token for text in texts for token in text} - set(special))
    random.Random(1).shuffle(found)
    return found if len(found) > _AHEAD else [*found, *(one for one in range(3, 20) if one not in found)]
