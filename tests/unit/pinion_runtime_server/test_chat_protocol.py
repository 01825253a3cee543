"""The messages of /v1/chat/completions: conversations, what their template is told; and what the official client reads."""

import json
import time
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from pinion_runtime.model.chat_messages import ROLES
from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.tasks.chat.protocol import (
    Choice,
    TemplateOptions,
    parse_request,
    write_answer,
    write_chunk,
    write_first_chunk,
    write_last_chunk,
    write_usage_chunk,
)
from pinion_runtime.server.tasks.generation.answers import Head, Usage
from pinion_runtime.server.tasks.generation.logprobs import ChosenToken, Token

USER = {"role": "user", "content": "a kettle"}


def parse(**fields: Any) -> Any:
    return parse_request(json.dumps({"model": "m", "messages": [USER]} | fields).encode())


@pytest.mark.parametrize("role", ROLES)
def test_every_role(role: str) -> None:
    assert parse(messages=[{"role": role, "content": "x"}]).messages == ({"role": role, "content": "x"},)


def test_messages_are_left_as_they_came() -> None:
    messages = [
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "me"},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "5", "audio": None},
        {"role": "user", "content": [{"type": "of another kind"}, "text", 5]},
    ]
    assert list(parse(messages=messages).messages) == messages


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": None}, "messages", "missing"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": {}}, "messages", "a list of messages"),
        ({"messages": "hello"}, "messages", "a list of messages"),
        ({"messages": [USER, "hello"]}, "messages[1]", "an object with a 'role'"),
        ({"messages": [USER, {"content": "x"}]}, "messages[1].role", "missing"),
        ({"messages": [{"role": "human"}]}, "messages[0].role", '"human"; it must be one of system, developer'),
        ({"messages": [{"role": {"a": 10**30}}]}, "messages[0].role", "one of"),
        ({"messages": [{"role": None}]}, "messages[0].role", "null"),
        ({"messages": [USER] * 4097}, "messages", "4097 messages; at most 4096"),
        ({"messages": [{"role": "user", "content": nested(70)}]}, "messages", "deeper than 64"),
        ({"messages": [{"role": "user", "content": [[]] * 300_000}]}, "messages", "more than 262144 values"),
        ({"messages": [{"role": "user", "content": [1] * 300_000}]}, "messages", "more than 262144 values"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]", "'image_url'"),
        (
            {"messages": [USER, {"role": "user", "content": [5, {"type": "input_audio"}]}]},
            "messages[1].content[1]",
            "text here",
        ),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio", "text here"),
        ({"prompt": "x"}, "prompt", "'messages'"),
        ({"logprobs": 5}, "logprobs", "true or false"),
        ({"top_logprobs": 3}, "top_logprobs", "'logprobs': true"),
        ({"top_logprobs": 3, "logprobs": False}, "top_logprobs", "'logprobs': true"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "from 0 to 20"),
        ({"top_logprobs": True, "logprobs": True}, "top_logprobs", "from 0 to 20"),
        ({"echo": True}, "echo", "not sent back"),
        ({"best_of": 2}, "best_of", "send 'n'"),
        ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message", "both"),
        ({"continue_final_message": 1}, "continue_final_message", "true or false"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs", "object"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs.messages", "a parameter of its own"),
        ({"chat_template_kwargs": {"chat_template": "x"}}, "chat_template_kwargs.chat_template", "not taken"),
        ({"chat_template_kwargs": {"a b": 1}}, "chat_template_kwargs.a b", "no name of a variable"),
        ({"chat_template_kwargs": {"": 1}}, "chat_template_kwargs.", "no name of a variable"),
        ({"chat_template_kwargs": {"a": nested(65)}}, "chat_template_kwargs.a", "deeper than 64"),
        ({"chat_template_kwargs": {f"a{each}": 1 for each in range(65)}}, "chat_template_kwargs", "65 variables; at most 64"),
        ({"chat_template_kwargs": {"a": "x" * 300_000}}, "chat_template_kwargs", "too large"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "must be 'none'; for another effort send what the model's own chat"),
        ({"reasoning_effort": False}, "reasoning_effort", "must be 'none'"),
        ({"modalities": ["text", "audio"]}, "modalities", "text here"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message
    assert len(refused.value.message) < 1200


def test_what_is_in_texts_is_no_structure() -> None:
    text = '{"a": [1, 2]}, \\" ' * 20_000
    messages = [{"role": "user", "content": text}] * 3
    assert [message["content"] for message in parse(messages=messages).messages] == [text] * 3
    assert len(parse(messages=[USER] * 4096).messages) == 4096
    assert parse(messages=[{"role": "user", "content": nested(62)}]).messages


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (b"[" + b",".join([b"[]"] * 3_000_000) + b"]", False),
        (b'["' + b'","' * 2_000_000 + b'"]', False),
        (b'"' + b'{[,\\"' * 1_500_000 + b'"', True),
    ],
    ids=["lists", "texts", "a text like structure"],
)
def test_much_of_what_is_wrong_is_refused_before_it_is_made(content: bytes, taken: bool) -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": %b}]}' % content
    # A machine may be slow just now: making lists of as many bytes says how slow.
    began = time.process_time()
    msgspec.json.decode(b"[" + b"[]," * (len(body) // 3) + b"0]")
    limit = max(0.5, time.process_time() - began)
    began = time.process_time()
    if taken:
        parse_request(body)
    else:
        with pytest.raises(ApiError, match="more than 262144 values") as refused:
            parse_request(body)
        assert refused.value.param == "messages"
    assert time.process_time() - began < limit


def test_what_is_taken_beside_the_shared_parameters() -> None:
    assert parse(logprobs=True).options.logprobs == 0
    assert parse(logprobs=True, top_logprobs=20).options.logprobs == 20
    assert parse(logprobs=False, top_logprobs=0).options.logprobs == -1


@pytest.mark.parametrize(
    ("fields", "template"),
    [
        ({}, TemplateOptions()),
        ({"add_generation_prompt": False}, TemplateOptions(add_generation_prompt=False)),
        ({"continue_final_message": False}, TemplateOptions()),
        ({"continue_final_message": True}, TemplateOptions(False, True)),
        ({"continue_final_message": True, "add_generation_prompt": False}, TemplateOptions(False, True)),
        ({"chat_template_kwargs": {}}, TemplateOptions(variables={})),
        (
            {"chat_template_kwargs": {"enable_thinking": False, "documents": [], "n": None}},
            TemplateOptions(variables={"enable_thinking": False, "documents": [], "n": None}),
        ),
        ({"reasoning_effort": "none"}, TemplateOptions(variables={"enable_thinking": False, "thinking": False})),
        (
            {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}},
            TemplateOptions(variables={"enable_thinking": True, "thinking": False}),
        ),
    ],
)
def test_what_the_template_is_told(fields: dict[str, Any], template: TemplateOptions) -> None:
    assert parse(**fields).template == template


HEAD = Head("chatcmpl-1", 1_700_000_000, "org/model")
TOKENS = [ChosenToken("\ufffd", float("-inf"), b"\xf0", [Token(" tea", -0.5, b" tea"), Token("?", -1.5)])]


def read(body: bytes) -> ChatCompletion:
    """Read strictly, and check that nothing is there that the client's types do not have."""
    answer = ChatCompletion.model_validate_json(body, strict=True)
    assert answer.model_dump(exclude_unset=True) == json.loads(body)
    return answer


def read_chunk(body: bytes) -> ChatCompletionChunk:
    chunk = ChatCompletionChunk.model_validate_json(body, strict=True)
    assert chunk.model_dump(exclude_unset=True) == json.loads(body)
    return chunk


def test_a_whole_answer() -> None:
    answer = read(write_answer(HEAD, [Choice(0, "Tea.", "stop"), Choice(1, "", "length", TOKENS)], Usage(7, 3, 2)))
    assert (answer.id, answer.object, answer.model) == ("chatcmpl-1", "chat.completion", "org/model")
    first, second = answer.choices
    assert (first.message.role, first.message.content, first.finish_reason, first.logprobs) == (
        "assistant",
        "Tea.",
        "stop",
        None,
    )
    assert second.logprobs is not None
    assert second.logprobs.content is not None
    token = second.logprobs.content[0]
    assert (token.token, token.bytes, token.logprob) == ("\ufffd", [240], -9999.0)
    assert [(each.token, each.bytes, each.logprob) for each in token.top_logprobs] == [
        (" tea", [32, 116, 101, 97], -0.5),
        ("?", None, -1.5),
    ]
    assert answer.usage is not None
    assert (answer.usage.total_tokens, answer.usage.prompt_tokens) == (10, 7)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 2


@pytest.mark.parametrize("include_usage", [False, True])
def test_the_pieces_of_a_stream(include_usage: bool) -> None:
    head = Head("chatcmpl-1", 1, "m", include_usage)
    bodies = [
        write_first_chunk(head, 1),
        write_chunk(head, 1, "Tea", TOKENS),
        write_chunk(head, 1, "."),
        write_last_chunk(head, 1, "stop"),
    ]
    chunks = [read_chunk(body) for body in bodies]
    deltas = [chunk.choices[0].delta.model_dump(exclude_unset=True) for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": "", "refusal": None}, {"content": "Tea"}, {"content": "."}, {}]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert [chunk.choices[0].index for chunk in chunks] == [1] * 4
    assert chunks[1].choices[0].logprobs is not None
    for body in bodies:
        assert json.loads(body).get("usage", "absent") == (None if include_usage else "absent")


def test_the_counts_at_the_end_of_a_stream() -> None:
    chunk = read_chunk(write_usage_chunk(HEAD, Usage(7, 3)))
    assert chunk.choices == []
    assert chunk.usage is not None
    assert chunk.usage.total_tokens == 10
