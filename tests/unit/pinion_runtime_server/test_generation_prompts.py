"""What the engine is asked for, and what it is not asked for: each parameter, and each limit of prompts and answers."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pinion_runtime.engines.protocol import Capabilities, Generate
from pinion_runtime.model.chat_template_files import ChatTemplates
from pinion_runtime.model.files import read_model_files
from pinion_runtime.model.sampling_defaults import SamplingDefaults
from pinion_runtime.model.template_runner import TemplateProbe, TemplateRunner
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.pod.state import Chat, TextServing
from pinion_runtime.scheduling.sequences import SequenceQueue
from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.tasks.chat import protocol as chats
from pinion_runtime.server.tasks.completions import protocol as completions
from pinion_runtime.server.tasks.fields import Effect
from pinion_runtime.server.tasks.generation.options import GenerationOptions
from pinion_runtime.server.tasks.generation.parameters import TABLES, Route
from pinion_runtime.server.tasks.generation.prompts import Caller, prompt_ids, to_generate
from pinion_runtime.server.tasks.texts import Inputs

CONTEXT, SEQUENCES, VOCABULARY = 64, 4, 30522
CALLER = Caller("r", "ann", 1e9)


@pytest.fixture(scope="module")
def serving(minilm: Path) -> TextServing:
    capabilities = Capabilities(
        *("text-generation", 0, CONTEXT, "float32", "cpu", "test", "X", 1, ()),
        context_length=CONTEXT,
        max_sequences=SEQUENCES,
        vocabulary_size=VOCABULARY,
    )
    tokenizer = Tokenizer.from_snapshot(minilm, max_length=CONTEXT)
    chat = Chat(TemplateRunner(ChatTemplates()), TemplateProbe(exists=False), tokenizer.chat_encoder({}))
    queue = SequenceQueue(4, 4, 10_000)
    return TextServing(tokenizer, capabilities, read_model_files(minilm), queue, SamplingDefaults(top_k=20), chat)


def ask(serving: TextServing, prompt: int, **options: Any) -> Generate:
    return to_generate([5] * prompt, GenerationOptions("m", **options), serving, CALLER, where="prompt")


@pytest.mark.parametrize(
    ("prompt", "options", "most"),
    [(10, {}, 54), (63, {}, 1), (10, {"max_tokens": 54}, 54), (10, {"max_tokens": 1}, 1), (64, {"max_tokens": 0}, 0)],
)
def test_an_answer_has_what_was_asked_for_or_what_the_context_leaves(
    serving: TextServing, prompt: int, options: dict[str, Any], most: int
) -> None:
    assert ask(serving, prompt, **options).max_tokens == most


# What a body says, and what the engine is told otherwise than for a body that says nothing of it.
BOTH: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0}, {"temperature": 0.0}),
    ({"temperature": 0.7}, {"temperature": 0.7}),
    ({"top_p": 0.9}, {"top_p": 0.9}),
    ({"top_k": 5}, {"top_k": 5}),
    ({"top_k": -1}, {"top_k": 0}),
    ({"min_p": 0.1}, {"min_p": 0.1}),
    ({"seed": 8}, {"seed": 8}),
    ({"presence_penalty": 1.5}, {"presence_penalty": 1.5}),
    ({"frequency_penalty": -0.5}, {"frequency_penalty": -0.5}),
    ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
    ({"logit_bias": {"5": -100, "7": 2.5}}, {"logit_bias": {5: -100.0, 7: 2.5}}),
    ({"n": 3}, {"choices": 3}),
    ({"stop_token_ids": [7, 9]}, {"stop_ids": (7, 9)}),
    ({"ignore_eos": True}, {"ignore_end": True}),
    ({"min_tokens": 6}, {"min_tokens": 6}),
    ({"max_tokens": 9}, {"max_tokens": 9}),
    ({"max_completion_tokens": 9}, {"max_tokens": 9}),
]
SAID: dict[Route, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "completions": [*BOTH, ({"logprobs": 0}, {"logprobs": 0}), ({"logprobs": 2}, {"logprobs": 2})],
    "chat": [
        *BOTH,
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": 2}),
        ({"logprobs": False}, {}),
    ],
}
# The front's own: from them the prompt is made, or the text of what the engine answers.
IN_FRONT = {
    *("model", "prompt", "messages", "add_generation_prompt", "continue_final_message", "chat_template_kwargs"),
    *("reasoning_effort", "best_of", "stop", "skip_special_tokens", "echo", "stream", "stream_options"),
}


def told(serving: TextServing, route: Route, **fields: Any) -> dict[str, Any]:
    """Return all that the engine is told of a body: its parameters of sampling beside the others."""
    prompt = {"prompt": "x"} if route == "completions" else {"messages": [{"role": "user", "content": "x"}]}
    parse: Any = completions.parse_request if route == "completions" else chats.parse_request
    options = parse(json.dumps({"model": "m", "seed": 7, **prompt, **fields}).encode()).options
    asked = to_generate([5, 6, 7], options, serving, CALLER, where="prompt")
    return {**msgspec.structs.asdict(asked), **msgspec.structs.asdict(asked.sampling), "sampling": None}


@pytest.mark.parametrize(
    ("route", "fields", "changed"), [(route, *case) for route, cases in SAID.items() for case in cases], ids=str
)
def test_each_parameter_reaches_the_engine_and_changes_nothing_else(
    serving: TextServing, route: Route, fields: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert told(serving, route, **fields) == {**told(serving, route), **changed}


@pytest.mark.parametrize("route", SAID)
def test_no_parameter_that_is_honoured_is_left_out_above(route: Route) -> None:
    effects = (Effect.HONOURED, Effect.ALIAS)
    honoured = {name for name, parameter in TABLES[route].items() if parameter.effect in effects}
    assert honoured - IN_FRONT == {name for fields, _ in SAID[route] for name in fields}


def test_what_a_request_does_not_say_the_model_does(serving: TextServing) -> None:
    asked = ask(serving, 3, n=2, stop_token_ids=(7,), logprobs=2)
    assert (asked.sampling.top_k, asked.choices, asked.stop_ids, asked.logprobs, asked.owner) == (20, 2, (7,), 2, "ann")


@pytest.mark.parametrize(
    ("prompt", "options", "param", "words"),
    [
        (64, {}, "prompt", ("64 tokens", "no room", "context has 64")),
        (10, {"max_tokens": 55}, "prompt", ("10 tokens", "'max_tokens' 55", "make 65", "context has 64")),
        (0, {}, "prompt", ("no token", "nothing to continue")),
        (10, {"n": 5}, "n", ("'n' is 5", "at most 4")),
        (60, {"min_tokens": 5}, "min_tokens", ("'min_tokens' is 5", "leaves 4")),
    ],
)
def test_what_the_model_has_no_room_for(
    serving: TextServing, prompt: int, options: dict[str, Any], param: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ApiError) as refused:
        ask(serving, prompt, **options)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert all(word in refused.value.message for word in words), refused.value.message


@pytest.mark.parametrize(
    ("inputs", "status", "param", "words"),
    [
        (Inputs("prompt", ("a", "word " * 70), (), True), 400, "prompt[1]", "72 tokens; this model's context has 64"),
        (Inputs("prompt", (), ((5, VOCABULARY),), True), 400, "prompt[0]", f"no token {VOCABULARY}"),
        (Inputs("prompt", (), ((5,) * 65,), False), 400, "prompt", "65 tokens"),
        (Inputs("prompt", ("word " * 40,) * 3, (), True), 413, "prompt", "126 tokens; at most 100"),
        (Inputs("prompt", (), ((5,) * 51,) * 2, True), 413, "prompt", "102 tokens; at most 100"),
        (Inputs("prompt", ("word " * 40,) * 99, (), True), 413, "prompt", "at most 100 are taken"),
    ],
)
async def test_prompts_that_are_not_taken(serving: TextServing, inputs: Inputs, status: int, param: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        await prompt_ids(inputs, serving, 100)
    assert (refused.value.status, refused.value.param) == (status, param)
