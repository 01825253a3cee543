"""The messages of /tokenize and /detokenize."""

import json
from typing import Any

import pytest

from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.tasks.chat.protocol import TemplateOptions
from pinion_runtime.server.tasks.tokenize.protocol import (
    DetokenizeRequest,
    TokenizeRequest,
    parse_detokenize,
    parse_tokenize,
    write_text,
    write_tokens,
)

USER = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        ({"prompt": "x"}, TokenizeRequest(None, "x", (), TemplateOptions(), True)),
        ({"model": "m", "prompt": "", "add_special_tokens": False}, TokenizeRequest("m", "", (), TemplateOptions(), False)),
        ({"messages": [USER], "tools": None}, TokenizeRequest(None, None, (USER,), TemplateOptions(), True)),
        (
            {"messages": [USER], "add_special_tokens": False, "add_generation_prompt": False, "chat_template_kwargs": {"a": 1}},
            TokenizeRequest(None, None, (USER,), TemplateOptions(False, False, {"a": 1}), False),
        ),
    ],
)
def test_a_text_or_a_conversation(body: dict[str, Any], request_: TokenizeRequest) -> None:
    assert parse_tokenize(json.dumps(body).encode()) == request_


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "prompt", "missing"),
        ({"prompt": "x", "messages": [USER]}, "messages", "not both"),
        ({"prompt": ["x"]}, "prompt", "string"),
        ({"prompt": 5}, "prompt", "string"),
        ({"prompt": "x", "add_special_tokens": 1}, "add_special_tokens", "true or false"),
        ({"messages": [USER], "add_special_tokens": True}, "add_special_tokens", "their template"),
        ({"prompt": "x", "add_generation_prompt": True}, "add_generation_prompt", "only taken with 'messages'"),
        ({"prompt": "x", "temperature": 1}, "temperature", "Unsupported"),
        ({"prompt": "x", "return_token_strs": True}, "return_token_strs", "/detokenize"),
        ({"prompt": "x", "model": 5}, "model", "string"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": [USER], "tools": [{}]}, "tools", "not taken yet"),
        ({"messages": [USER], "chat_template": "x"}, "chat_template", "own chat template"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_tokenize(json.dumps(body).encode())
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message


@pytest.mark.parametrize("tokens", [(), (5,), (0, 2**40)])
def test_ids(tokens: tuple[int, ...]) -> None:
    assert parse_detokenize(json.dumps({"model": "m", "tokens": tokens}).encode()) == DetokenizeRequest("m", tokens)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"{}", "tokens", "missing"),
        (b'{"tokens": "x"}', "tokens", "a list of token ids"),
        (b'{"tokens": [1, "x"]}', "tokens[1]", "a token id"),
        (b'{"tokens": [1, -1]}', "tokens[1]", "negative"),
        (b'{"tokens": [true]}', "tokens[0]", "a token id"),
        (b'{"tokens": [1e999]}', "tokens[0]", "a token id"),
        (b'{"tokens": [1], "skip_special_tokens": true}', "skip_special_tokens", "Unsupported"),
        (b'{"tokens": [%b1]}' % (b"1," * (1 << 20)), "tokens", "more than 1048576"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_ids_are_named(body: bytes, param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_detokenize(body)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message


def test_the_answers() -> None:
    assert json.loads(write_tokens([1, 5], 2048)) == {"count": 2, "max_model_len": 2048, "tokens": [1, 5]}
    assert json.loads(write_text("a \u00e9")) == {"prompt": "a é"}
