"""Decoders give what transformers' own generate gives, token for token, whatever runs beside them; the real engine, here."""

from collections.abc import Callable

import pytest

from tests.support.decoders import Decoders, generate, load, prompt_of, request, run
from tests.support.linear_models import widened_layers

pytestmark = pytest.mark.model

SLOTS, APART, ALONE = "slots", "slots with passes for prompts", "one-at-a-time"
TOKENS = 12
PROMPTS = [prompt_of(4, seed=1), prompt_of(40, seed=2), prompt_of(200, seed=3)]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("llama", SLOTS),
        ("qwen2", SLOTS),
        ("qwen3", SLOTS),
        ("gemma2", APART),
        ("gemma3_text", SLOTS),
        ("mistral with a window", SLOTS),
        ("mistral with a long window", SLOTS),
        ("phi", SLOTS),
        ("gpt2", SLOTS),
        ("opt", SLOTS),
        ("gpt_neox", SLOTS),
        ("olmo2", SLOTS),
        ("granite", SLOTS),
        ("falcon", APART),
        ("falcon with alibi", APART),
        ("minicpm3", APART),
        ("gpt_neo", ALONE),
        ("bloom", ALONE),
        ("mamba", ALONE),
        ("lfm2", ALONE),
        ("openai-gpt", ALONE),
    ],
)
def test_a_prompt_has_one_answer(decoders: Decoders, name: str, way: str) -> None:
    """Alone, together, in another order, and joining late: prompts of 4, 40 and 200 tokens."""
    folder = decoders.make(name)
    decoder = load(folder)
    reason = decoder.capabilities.engine_reason
    assert decoder.capabilities.engine == f"transformers/{ALONE if way == ALONE else SLOTS}"
    assert bool(reason) is (way != SLOTS)
    assert reason.startswith("prompts are computed in passes of their own: ") is (way == APART)
    expected = [generate(folder, prompt, TOKENS) for prompt in PROMPTS]
    alone = [run(decoder, request(1, prompt, TOKENS, owner="alone"))[1].tokens for prompt in PROMPTS]
    assert alone == expected
    together = run(decoder, *(request(key, prompt, TOKENS, owner="together") for key, prompt in enumerate(PROMPTS)))
    assert [together[key].tokens for key in range(3)] == expected
    others = run(decoder, *(request(key, PROMPTS[key], TOKENS, owner="others") for key in (2, 0)), steps=5)
    run(decoder, request(1, PROMPTS[1], TOKENS, owner="others"), answers=others)
    assert [others[key].tokens for key in range(3)] == expected


@pytest.mark.parametrize("emulated", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_served_in_slots(
    decoders: Decoders, dtype: str, emulated: bool, emulate: Callable[[bool], None]
) -> None:
    """It is checked in float32, and computes in its own precision afterwards, or rounds to it."""
    emulate(emulated)
    before = widened_layers()
    decoder = load(decoders.make("llama", dtype=dtype))
    assert (decoder.capabilities.engine, decoder.capabilities.dtype) == (f"transformers/{SLOTS}", dtype)
    assert decoder.capabilities.engine_reason == ""
    assert (widened_layers() > before) is emulated
    answers = run(decoder, *(request(key, prompt, TOKENS) for key, prompt in enumerate(PROMPTS)))
    assert [len(answers[key].tokens) for key in range(3)] == [TOKENS] * 3
