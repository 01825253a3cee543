"""The messages of /v1/completions: prompts, echo and log-probabilities; and what the official client reads of answers."""

import json
from typing import Any

import pytest
from openai.types import Completion

from pinion_runtime.server.errors import ApiError, Code
from pinion_runtime.server.tasks.completions.protocol import (
    Choice,
    parse_request,
    write_answer,
    write_chunk,
    write_usage_chunk,
)
from pinion_runtime.server.tasks.generation.answers import Head, Usage, new_head
from pinion_runtime.server.tasks.generation.logprobs import ChosenToken, Token


def parse(**fields: Any) -> Any:
    return parse_request(json.dumps({"model": "m", "prompt": "x"} | fields).encode())


@pytest.mark.parametrize(
    ("value", "texts", "tokens", "is_list"),
    [
        ("kettle", ("kettle",), (), False),
        ("", ("",), (), False),
        (["kettle", ""], ("kettle", ""), (), True),
        ([101, 7592], (), ((101, 7592),), False),
        ([[7592], [2088, 999]], (), ((7592,), (2088, 999)), True),
        ("word " * 300_000, ("word " * 300_000,), (), False),
    ],
    ids=["text", "empty", "texts", "ids", "lists of ids", "a large one"],
)
def test_the_four_forms_of_a_prompt(value: Any, texts: Any, tokens: Any, is_list: bool) -> None:
    prompts = parse(prompt=value).prompts
    assert (prompts.texts, prompts.tokens, prompts.is_list) == (texts, tokens, is_list)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"prompt": None}, "prompt", "missing"),
        ({"prompt": []}, "prompt", "empty"),
        ({"prompt": 5}, "prompt", "must be"),
        ({"prompt": ["a", 5]}, "prompt[1]", "string"),
        ({"prompt": [1, -1]}, "prompt[1]", "negative"),
        ({"prompt": [[1], []]}, "prompt[1]", "empty"),
        ({"prompt": ["x"] * 20, "n": 128}, "n", "20 prompts with 'n' 128 ask for 2560 answers; at most 2048"),
        ({"logprobs": True}, "logprobs", "from 0 to 20"),
        ({"logprobs": 21}, "logprobs", "from 0 to 20"),
        ({"logprobs": -1}, "logprobs", "from 0 to 20"),
        ({"top_logprobs": 3}, "top_logprobs", "send 'logprobs' with how many"),
        ({"echo": 1}, "echo", "true or false"),
        ({"echo": True, "logprobs": 0}, "logprobs", "not taken with 'echo'"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "top_k": 1}, "logprobs", "not taken with 'echo'"),
        ({"max_tokens": 0}, "max_tokens", "only taken with 'echo'"),
        ({"max_completion_tokens": 0, "echo": False}, "max_completion_tokens", "only taken with 'echo'"),
        ({"best_of": 2}, "best_of", "'n' is 1"),
        ({"best_of": 1, "n": 2}, "best_of", "'n' is 2"),
        ({"best_of": 0}, "best_of", "from 1"),
        ({"suffix": "end"}, "suffix", "nothing is filled in"),
        ({"messages": []}, "messages", "/v1/chat/completions"),
        ({"chat_template_kwargs": {}}, "chat_template_kwargs", "no chat template"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message


def test_what_is_taken_beside_the_shared_parameters() -> None:
    assert parse(logprobs=0).options.logprobs == 0
    assert parse(logprobs=20).options.logprobs == 20
    assert parse().options.logprobs == -1
    assert parse(echo=True, max_tokens=0).echo
    assert parse(best_of=3, n=3).options.n == 3
    assert parse(prompt=["x"] * 16, n=128).options.n == 128


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": "m", "prompt": NaN}', b'{"prompt":' * 100_000])
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse_request(body)
    assert (refused.value.status, refused.value.code) == (400, Code.INVALID_JSON)


HEAD = Head("cmpl-1", 1_700_000_000, "org/model")
TOKENS = (
    ChosenToken(" tea", -0.5, b" tea", (Token(" tea", -0.5, b" tea"), Token(" cup", -1.5, b" cup")), 5),
    ChosenToken("\ufffd", float("-inf"), b"\xf0", (Token("a", -0.1), Token("a", -3.0)), 9),
)


def read(body: bytes) -> Completion:
    """Read strictly, and check that nothing is there that the client's types do not have."""
    answer = Completion.model_validate_json(body, strict=True)
    assert answer.model_dump(exclude_unset=True) == json.loads(body)
    return answer


def test_a_whole_answer() -> None:
    choices = [Choice(0, " tea", "stop"), Choice(1, "", "length")]
    answer = read(write_answer(HEAD, choices, Usage(7, 3, 2)))
    assert (answer.id, answer.object, answer.created, answer.model) == ("cmpl-1", "text_completion", 1_700_000_000, "org/model")
    assert [(each.index, each.text, each.finish_reason, each.logprobs) for each in answer.choices] == [
        (0, " tea", "stop", None),
        (1, "", "length", None),
    ]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 3, 10)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 2
    assert "system_fingerprint" not in answer.model_fields_set


def test_log_probabilities() -> None:
    found = read(write_answer(HEAD, [Choice(0, " tea\ufffd", "stop", TOKENS)], Usage(1, 2))).choices[0].logprobs
    assert found is not None
    assert (found.tokens, found.token_logprobs, found.text_offset) == ([" tea", "\ufffd"], [-0.5, -9999.0], [5, 9])
    assert found.top_logprobs == [{" tea": -0.5, " cup": -1.5}, {"a": -0.1, "\ufffd": -9999.0}]


@pytest.mark.parametrize("include_usage", [False, True])
def test_the_pieces_of_a_stream(include_usage: bool) -> None:
    head = Head("cmpl-1", 1, "m", include_usage)
    bodies = [write_chunk(head, Choice(0, " tea", None, TOKENS[:1])), write_chunk(head, Choice(0, "", "length"))]
    pieces = [json.loads(body)["choices"][0] for body in bodies]
    assert [(piece["text"], piece["finish_reason"]) for piece in pieces] == [(" tea", None), ("", "length")]
    assert pieces[0]["logprobs"]["tokens"] == [" tea"]
    for body in bodies:
        assert json.loads(body).get("usage", "absent") == (None if include_usage else "absent")
        Completion.model_validate_json(body.replace(b'"finish_reason":null', b'"finish_reason":"stop"'), strict=True)


def test_the_counts_at_the_end_of_a_stream() -> None:
    answer = read(write_usage_chunk(HEAD, Usage(7, 3)))
    assert answer.choices == []
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


def test_each_answer_has_an_id_of_its_own() -> None:
    heads = [new_head("cmpl", "m"), new_head("cmpl", "m")]
    assert heads[0].id != heads[1].id
    assert all(head.id.startswith("cmpl-") and head.created > 1_700_000_000 for head in heads)
