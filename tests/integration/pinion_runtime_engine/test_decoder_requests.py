"""Requests to a decoder: how they end, what they share, and that one never spoils another; the real engine, here."""

from collections.abc import Iterator
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from pinion_runtime.engines.protocol import Sampling
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.engines.transformers.generation.generation import Generation
from pinion_runtime.engines.transformers.generation.model_call import logits_width
from pinion_runtime.engines.transformers.generation.prefill import MOST
from pinion_runtime.engines.transformers.generation.sequences import Sequence
from pinion_runtime.engines.transformers.generation.slots import Slots
from pinion_runtime.engines.transformers.loading import is_out_of_memory
from tests.support.decoders import END, Answers, Decoders, generate, load, make_decoder, prompt_of, request, run

pytestmark = pytest.mark.model

SPOILED = 7  # a token whose embedding is no number
MARKED = 451  # a token that no prompt has by itself
KEYS = 100  # of requests lie below


@pytest.fixture(scope="module")
def folder(decoders: Decoders) -> Path:
    return decoders.make("llama")


@pytest.fixture(scope="module")
def kept_decoder(folder: Path) -> Any:
    return load(folder, max_sequences=4)


@pytest.fixture(scope="module")
def kept_alone(decoders: Decoders) -> Any:
    return load(decoders.make("bloom"))


@pytest.fixture
def decoder(kept_decoder: Any) -> Iterator[Any]:
    """A decoder of four sequences, kept for the module; tests use owners of their own."""
    yield kept_decoder
    kept_decoder.cancel(range(KEYS))  # of a test that failed


@pytest.fixture
def alone(kept_alone: Any) -> Iterator[Any]:
    """The same where sequences go through the model one at a time."""
    yield kept_alone
    kept_alone.cancel(range(KEYS))


@pytest.fixture(params=["slots", "one-at-a-time"])
def either(request: pytest.FixtureRequest, decoder: Any, alone: Any) -> Any:
    found = decoder if request.param == "slots" else alone
    assert found.capabilities.engine == f"transformers/{request.param}"
    return found


# --- how an answer ends


def test_an_answer_ends_with_its_last_token(either: Any) -> None:
    answer = run(either, request(1, prompt_of(5), 3))[1]
    assert (len(answer.tokens), answer.finish) == (3, "length")


def test_a_stop_id_ends_an_answer_and_is_the_last_of_it(either: Any) -> None:
    tokens = run(either, request(1, prompt_of(5), 6))[1].tokens
    place = tokens.index(tokens[3])  # small models repeat themselves
    answer = run(either, request(2, prompt_of(5), 6, stop_ids=(tokens[3],)))[2]
    assert (answer.tokens, answer.finish) == (tokens[: place + 1], "stop")


def test_before_the_least_length_no_stop_id_comes(either: Any) -> None:
    tokens = run(either, request(1, prompt_of(5), 6))[1].tokens
    answer = run(either, request(2, prompt_of(5), 6, stop_ids=(tokens[0],), min_tokens=4))[2]
    assert tokens[0] not in answer.tokens[:4]
    assert len(answer.tokens) >= 4


@pytest.mark.parametrize(("ignored", "finish"), [(False, "stop"), (True, "length")])
def test_the_models_own_end_ids(either: Any, ignored: bool, finish: str) -> None:
    assert either.capabilities.end_ids == (END,)
    sampling = Sampling(temperature=0.0, logit_bias={END: 1000.0})
    answer = run(either, request(1, prompt_of(5), 3, sampling=sampling, ignore_end=ignored))[1]
    assert (answer.finish, answer.tokens[0]) == (finish, END)
    assert len(answer.tokens) == (3 if ignored else 1)


def test_the_context_may_be_filled_to_its_last_token(folder: Path, decoder: Any) -> None:
    prompt = prompt_of(250, seed=9)
    assert run(decoder, request(1, prompt, 6))[1].tokens == generate(folder, prompt, 6)


# --- cancellation and deadlines


def test_a_cancelled_request_frees_its_places_before_the_next_step(decoder: Any) -> None:
    answers = run(decoder, request(1, prompt_of(30, seed=1), 50, choices=4, owner="cancel"), steps=4)
    assert (decoder.running, decoder.unfinished) == (4, 4)
    decoder.add(request(2, prompt_of(6, seed=2), 3))
    assert decoder.cancel([1, 77]) == 4
    assert (decoder.running, decoder.used_tokens) == (0, 0)
    run(decoder, answers=answers)
    assert len(answers[2].tokens) == 3
    assert decoder.cancel([1, 2]) == 0


def test_a_request_that_waits_is_cancelled_too(either: Any) -> None:
    fill = [request(key, prompt_of(9, seed=key), 40) for key in range(5)]
    answers = run(either, *fill, steps=3)
    assert either.unfinished == 5
    assert either.running == min(4, either.capabilities.max_sequences)
    assert either.cancel([4]) == 1
    assert either.cancel(range(4)) == 4
    assert not either.busy
    assert (4, 0) not in answers.choices


def test_a_cancelled_prompt_leaves_what_was_computed(decoder: Any) -> None:
    prompt = prompt_of(200, seed=31)
    beside = request(1, prompt_of(5, seed=32), 200, owner="b")
    run(decoder, beside, steps=3)
    run(decoder, request(2, prompt, 5, owner="a"), steps=1)
    assert decoder.cancel([2]) == 1
    answers = run(decoder, request(3, prompt, 5, owner="a"))
    assert 0 < answers[3].cached_tokens < 200
    assert not decoder.busy


def test_the_deadline_ends_a_request_that_runs_and_one_that_waits(either: Any) -> None:
    requests = [request(key, prompt_of(9, seed=key), 200, seconds=0.0 if key in (1, 6) else 600) for key in range(7)]
    answers = run(either, *requests, steps=2)
    assert sorted(answers.failures) == [1, 6]
    assert all(message.startswith("deadline_exceeded: the deadline passed") for message in answers.failures.values())
    assert either.unfinished == 5
    assert either.cancel(range(7)) == 5


# --- several choices


def test_greedy_choices_are_equal_and_their_prompt_is_computed_once(folder: Path, decoder: Any) -> None:
    prompt = prompt_of(60, seed=4)
    answers = run(decoder, request(1, prompt, 8, choices=3))
    assert [answers.choices[1, choice].tokens for choice in range(3)] == [generate(folder, prompt, 8)] * 3
    assert [answers.choices[1, choice].cached_tokens for choice in range(3)] == [0, 0, 0]


def test_other_choices_begin_when_the_prompt_has_been_computed(decoders: Decoders) -> None:
    """The prompt is longer than any piece of prefill, whose size goes by measured times."""
    folder = decoders.make("llama", max_position_embeddings=1024)
    decoder = load(folder, max_sequences=4)
    prompt = prompt_of(MOST + 100, seed=5)
    answers = run(decoder, request(1, prompt_of(5), 100), steps=3)
    run(decoder, request(2, prompt, 8, choices=3), answers=answers, steps=1)
    assert (decoder.running, decoder.unfinished) == (2, 4), "one of them computes a piece of the prompt, two wait"
    assert decoder.used_tokens < len(prompt)
    run(decoder, answers=answers)
    assert [answers.choices[2, choice].tokens for choice in range(3)] == [generate(folder, prompt, 8)] * 3


def test_choices_differ_by_their_random_numbers_alone(either: Any) -> None:
    answers = run(either, request(1, prompt_of(20), 8, choices=3, sampling=Sampling(seed=5, temperature=3.0)))
    texts = [answers.choices[1, choice].tokens for choice in range(3)]
    assert len({tuple(text) for text in texts}) == 3
    for choice in range(3):
        assert (
            run(either, request(2, prompt_of(20), 8, sampling=Sampling(seed=5 + choice, temperature=3.0)))[2].tokens
            == texts[choice]
        )


def test_more_choices_than_places_follow_one_another(folder: Path, decoder: Any) -> None:
    prompt = prompt_of(33, seed=6)
    answers = run(decoder, request(1, prompt, 5, choices=9, owner="many"))
    assert [answers.choices[1, choice].tokens for choice in range(9)] == [generate(folder, prompt, 5)] * 9


# --- what is used again


def test_a_prompt_that_begins_alike_is_computed_from_there(folder: Path, decoder: Any) -> None:
    prompt = prompt_of(70, seed=11)
    first = run(decoder, request(1, prompt, 8, owner="ada"))[1]
    longer = [*prompt, *first.tokens, *prompt_of(9, seed=12)]
    answer = run(decoder, request(2, longer, 8, owner="ada"))[2]
    assert answer.cached_tokens == 77, "prompt and answer, but for the last token, which nothing was computed of"
    assert answer.tokens == generate(folder, longer, 8)
    again = run(decoder, request(3, prompt, 8, owner="ada"))[3]
    assert (again.cached_tokens, again.tokens) == (69, first.tokens), "the last token of a prompt is always computed"


def test_nothing_is_used_again_for_another_owner(folder: Path, decoder: Any) -> None:
    prompt = prompt_of(70, seed=13)
    run(decoder, request(1, prompt, 8, owner="ada"))
    answer = run(decoder, request(2, prompt, 8, owner="bob"))[2]
    assert (answer.cached_tokens, answer.tokens) == (0, generate(folder, prompt, 8))


def test_what_still_runs_is_copied(folder: Path, decoder: Any) -> None:
    prompt = prompt_of(50, seed=14)
    other = [*prompt[:40], *prompt_of(20, seed=15)]
    answers = run(decoder, request(1, prompt, 20, owner="eve"), steps=3)
    run(decoder, request(2, other, 20, owner="eve"), answers=answers)
    assert answers[2].cached_tokens == 40
    assert [answers[key].tokens for key in (1, 2)] == [generate(folder, prompt, 20), generate(folder, other, 20)]


def test_a_long_text_is_not_lost_to_a_short_one_that_begins_alike(decoder: Any) -> None:
    long, short = prompt_of(200, seed=16), [*prompt_of(200, seed=16)[:30], *prompt_of(10, seed=17)]
    run(decoder, request(1, long, 4, owner="kay"))
    assert run(decoder, request(2, short, 4, owner="kay"))[2].cached_tokens == 30
    assert run(decoder, request(3, long, 4, owner="kay"))[3].cached_tokens == 199


# --- many that come and go


def test_rows_that_come_go_and_move_keep_their_texts(folder: Path, decoder: Any) -> None:
    """More requests than places, of lengths on both sides of a group's border, each of another length."""
    sizes = [(3, 9), (120, 30), (17, 2), (235, 20), (1, 25), (64, 5), (246, 10), (30, 12), (90, 7), (5, 1), (228, 15)]
    prompts = [prompt_of(length, seed=100 + length) for length, _ in sizes]
    answers = Answers()
    for key, (prompt, (_, tokens)) in enumerate(zip(prompts, sizes, strict=True)):
        run(decoder, request(key, prompt, tokens, owner="crowd"), answers=answers, steps=2)
    run(decoder, answers=answers)
    assert [answers[key].tokens for key in range(len(sizes))] == [
        generate(folder, prompt, tokens) for prompt, (_, tokens) in zip(prompts, sizes, strict=True)
    ]


def test_texts_past_a_border_of_groups_go_on_beside_short_ones(decoders: Decoders) -> None:
    folder = decoders.make("llama", max_position_embeddings=600)
    decoder = load(folder, max_sequences=3)
    prompts = [prompt_of(250, seed=1), prompt_of(500, seed=2), prompt_of(10, seed=3)]
    answers = run(decoder, *(request(key, prompt, 20) for key, prompt in enumerate(prompts)))
    assert [answers[key].tokens for key in range(3)] == [generate(folder, prompt, 20) for prompt in prompts]


# --- what goes wrong


@pytest.fixture(scope="module")
def spoiled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a token that it computes NaN of."""
    folder = make_decoder(tmp_path_factory.mktemp("spoiled") / "model", tie_word_embeddings=False, max_position_embeddings=320)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"][SPOILED] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def spoiled(spoiled_folder: Path) -> Any:
    return load(spoiled_folder, max_sequences=3)


def test_a_row_without_numbers_fails_alone(spoiled: Any) -> None:
    good = prompt_of(40, seed=21)
    expected = run(spoiled, request(0, good, 30, owner="before"))[0].tokens
    answers = run(spoiled, request(1, good, 30, owner="beside"), steps=6)
    bad = [*good[:20], SPOILED, *good[21:]]
    run(spoiled, request(2, bad, 30, owner="beside", choices=2), answers=answers)
    assert list(answers.failures) == [2]
    assert answers.failures[2].startswith("non_finite_result: ")
    assert answers[1].tokens == expected
    # The place of the one that failed is used again, by texts that look at fewer tokens than were there.
    after = run(spoiled, *(request(key, good[:30], 30, owner=f"after {key}") for key in range(3, 6)))
    assert not after.failures
    assert len({tuple(after[key].tokens) for key in range(3, 6)}) == 1


def test_what_failed_is_not_used_again(spoiled: Any) -> None:
    good = prompt_of(40, seed=22)
    expected = run(spoiled, request(1, good, 9, owner="another"))[1].tokens
    assert 2 in run(spoiled, request(2, [*good[:30], SPOILED, 9], 9, owner="one")).failures
    answer = run(spoiled, request(3, good, 9, owner="one"))[3]
    assert (answer.cached_tokens, answer.tokens) == (0, expected)


def test_what_a_cancelled_prompt_left_spoils_nobody(spoiled_folder: Path) -> None:
    """It was cancelled between two pieces, before a token showed that it is no number.

    The decoder is a new one: it has measured no piece yet, so the first two have 64 and 128 tokens at most, whatever they take.
    """
    spoiled = load(spoiled_folder, max_sequences=3)
    short = prompt_of(20, seed=41)
    expected = run(spoiled, request(1, short, 9, owner="before"))[1].tokens
    answers = run(spoiled, request(2, prompt_of(20, seed=42), 60, owner="beside"), steps=4)
    run(spoiled, request(3, [SPOILED, *prompt_of(249, seed=43)], 9, owner="gone"), answers=answers, steps=2)
    assert spoiled.cancel([3]) == 1
    run(spoiled, *(request(key, short, 9, owner=f"next {key}") for key in (4, 5)), answers=answers)
    assert [answers[key].tokens for key in (4, 5)] == [expected] * 2
    assert not answers.failures


def test_a_row_that_fails_in_mid_answer(spoiled: Any) -> None:
    sampling = Sampling(temperature=0.0, logit_bias={SPOILED: 1e6})
    answers = run(spoiled, request(1, prompt_of(20), 9, sampling=sampling), request(2, prompt_of(21), 9))
    assert list(answers.failures) == [1]
    assert answers[1].tokens == [SPOILED]
    assert len(answers[2].tokens) == 9
    assert spoiled.unfinished == 0


def generation_of(folder: Path, rows: int, *, packed: bool, slots: type[Slots] = Slots) -> Generation:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    length = model.config.max_position_embeddings
    return Generation(
        slots(model, rows, length, packed=packed),
        context_length=length,
        vocabulary_size=logits_width(model),
        end_ids=(END,),
        out_of_memory=is_out_of_memory,
    )


@pytest.mark.parametrize("packed", [True, False])
def test_a_choice_that_fails_ends_those_of_other_lengths_too(spoiled_folder: Path, packed: bool) -> None:
    """With this seed one choice ends, another takes its place and is shorter than the one that then fails."""
    decoder = generation_of(spoiled_folder, 2, packed=packed)
    stop, go_on = 8, 9
    sampling = Sampling(seed=124, temperature=20.0, logit_bias={SPOILED: 1960.0, stop: 2000.0, go_on: 2040.0})
    prompt = [10 + place % 50 for place in range(250)]
    answers = run(decoder, request(1, prompt, 60, choices=3, stop_ids=(stop,), sampling=sampling))
    assert list(answers.failures) == [1]
    lengths = sorted(len(answer.tokens) for answer in answers.choices.values() if not answer.finish)
    assert lengths[0] < 6 < lengths[1], "they were in groups of different lengths"
    assert decoder.unfinished == 0


class MarkedFails(Slots):
    """Slots whose passes raise where a marked token goes in."""

    def compute(self, group: Many[Sequence], counts: Many[int]) -> Tensor:
        if any(MARKED in sequence.next_tokens(tokens) for sequence, tokens in zip(group, counts, strict=True)):
            raise RuntimeError("marked")
        return super().compute(group, counts)


@pytest.mark.parametrize("packed", [True, False])
def test_a_pass_that_raises_fails_the_request_at_fault_alone(folder: Path, packed: bool) -> None:
    """A second piece of its prompt raises, while one is answered and another one's prompt is computed."""
    good, other = prompt_of(30, seed=31), prompt_of(90, seed=32)
    bad = [*prompt_of(MOST, seed=33)[:150], MARKED, 9]
    expected = [generate(folder, prompt, 20) for prompt in (good, other)]
    decoder = generation_of(folder, 4, packed=packed, slots=MarkedFails)
    answers = run(decoder, request(1, good, 20), steps=3)
    run(decoder, request(2, bad, 20, choices=2), request(3, other, 20), answers=answers)
    assert list(answers.failures) == [2]
    assert answers.failures[2].startswith("compute_failed: RuntimeError: marked")
    assert [answers[key].tokens for key in (1, 3)] == expected
    assert decoder.unfinished == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": b""}, "prompt has 0 bytes"),
        ({"prompt": b"\0\0\0"}, "prompt has 3 bytes"),
        ({"prompt": int32_bytes([3, 500])}, r"prompt[1] is 500: token ids lie below 500"),
        ({"prompt": int32_bytes([-1])}, "prompt[0] is -1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": 250}, "the prompt has 7 tokens and max_tokens is 250, together more than the context of 256 tokens"),
        ({"choices": 0}, "choices is 0"),
        ({"min_tokens": 9}, "min_tokens is 9: it lies between 0 and max_tokens, 8"),
        ({"sampling": Sampling(logit_bias={500: 1.0})}, "logit_bias: id 500 is not below 500"),
    ],
)
def test_a_request_that_can_not_be_generated_fails_by_itself(either: Any, fields: dict[str, Any], message: str) -> None:
    context = either.capabilities.context_length
    made = request(1, prompt_of(7), 8)
    if fields.get("max_tokens") == 250 and context != 256:
        fields, message = {"max_tokens": context}, f"together more than the context of {context} tokens"
    changed = type(made)(**{**{name: getattr(made, name) for name in made.__struct_fields__}, **fields})
    answers = run(either, changed, request(2, prompt_of(7), 2))
    assert list(answers.failures) == [1]
    assert message in answers.failures[1]
    assert answers.failures[1].startswith("invalid_input: ")
    assert len(answers[2].tokens) == 2


def test_a_key_that_is_in_use_is_refused_and_the_first_goes_on(decoder: Any) -> None:
    answers = run(decoder, request(1, prompt_of(7), 5), request(1, prompt_of(8), 5))
    assert answers.failures[1].startswith("invalid_input: key is 1")
    assert len(answers[1].tokens) == 5


# --- what is told beside tokens


def test_logprobs_come_with_each_token(either: Any) -> None:
    answer = run(either, request(1, prompt_of(7), 3, logprobs=2))[1]
    assert [one.top_ids[0] for one in answer.logprobs] == answer.tokens
    assert all(len(one.top_ids) == 2 and one.logprob == one.top_logprobs[0] < 0 for one in answer.logprobs)


def test_adding_computes_nothing(decoder: Any) -> None:
    decoder.add(request(1, prompt_of(7), 3))
    assert (decoder.busy, decoder.running, decoder.unfinished, decoder.used_tokens) == (True, 0, 1, 0)
    assert decoder.cancel([1]) == 1
    assert not decoder.busy
    assert decoder.step() == []


def test_passes_have_no_more_threads_than_it_was_loaded_with(either: Any) -> None:
    loaded = either.capabilities.threads
    torch.set_num_threads(loaded + 1)
    try:
        run(either, request(1, prompt_of(5), max_tokens=2))
        assert 1 <= torch.get_num_threads() <= loaded, "each pass sets how many there are, fewer where they wait"
    finally:
        torch.set_num_threads(loaded)
