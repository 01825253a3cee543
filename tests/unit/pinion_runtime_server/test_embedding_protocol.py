"""The request of /v1/embeddings: every accepted form, and every refusal with its field."""

import base64
import json
import struct
import time
from typing import Any

import msgspec
import pytest

from pinion_runtime.server.errors import ApiError, Code
from pinion_runtime.server.tasks.embeddings.protocol import parse_request, write_answer

TEXTS = ("kettle", "teapot")


def parse(**fields: Any) -> Any:
    return parse_request(json.dumps({"model": "m", "input": "x"} | fields).encode())


@pytest.mark.parametrize(
    ("value", "texts", "tokens", "is_list"),
    [
        ("kettle", ("kettle",), (), False),
        ("", ("",), (), False),
        (["kettle", ""], ("kettle", ""), (), True),
        (" ", (" ",), (), False),
        ("\0", ("\0",), (), False),
        (list(TEXTS), TEXTS, (), True),
        ([101, 7592, 102], (), ((101, 7592, 102),), False),
        ([[7592], [2088, 999]], (), ((7592,), (2088, 999)), True),
        (["x"] * 2048, ("x",) * 2048, (), True),
    ],
)
def test_the_four_forms_of_input(value: Any, texts: Any, tokens: Any, is_list: bool) -> None:
    request = parse(input=value).inputs
    assert (request.texts, request.tokens, request.is_list) == (texts, tokens, is_list)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"input": []}, "input", "empty"),
        ({"input": [[]]}, "input[0]", "empty"),
        ({"input": ["a", [5]]}, "input[1]", "string"),
        ({"input": [[5], "a"]}, "input[1]", "token ids"),
        ({"input": [5, "a"]}, "input[1]", "integer"),
        ({"input": [5, True]}, "input[1]", "integer"),
        ({"input": [5, -1]}, "input[1]", "negative"),
        ({"input": [[1, 2], [3, 1.5]]}, "input[1][1]", "integer"),
        ({"input": [None]}, "input[0]", "string"),
        ({"input": [True]}, "input[0]", "string"),
        ({"input": {"a": 1}}, "input", "must be"),
        ({"input": 5}, "input", "must be"),
        ({"input": None}, "input", "missing"),
        ({"input": ["x"] * 2049}, "input", "2049"),
        ({"model": ""}, "model", "name"),
        ({"model": 5}, "model", "string"),
        ({"encoding_format": "hex"}, "encoding_format", "base64"),
        ({"encoding_format": 1}, "encoding_format", "base64"),
        ({"dimensions": 0}, "dimensions", "positive"),
        ({"dimensions": -1}, "dimensions", "positive"),
        ({"dimensions": "64"}, "dimensions", "positive"),
        ({"dimensions": True}, "dimensions", "positive"),
        ({"dimensions": 64.0}, "dimensions", "positive"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message


@pytest.mark.parametrize("missing", ["model", "input"])
def test_a_missing_field_is_named(missing: str) -> None:
    fields = {"model": "m", "input": "x"}
    del fields[missing]
    with pytest.raises(ApiError) as refused:
        parse_request(json.dumps(fields).encode())
    assert refused.value.param == missing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"model": "m", "input": "x"} more',
        b'{"model": "m", "input": NaN}',
        b'{"model": "m", "input": "\xff"}',
        b'{"model": "m", "input": "\xed\xa0\x80"}',
        b'"text"',
        b"[1]",
        b"null",
        b"[" * 100_000,
        b'{"input":' * 100_000,
    ],
)
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse_request(body)
    assert (refused.value.status, refused.value.code) == (400, Code.INVALID_JSON)


@pytest.mark.parametrize(
    ("value", "param", "words"),
    [
        (b"1e999", "input", "must be"),
        (b"[" + b",".join([b"[]"] * 2_000_000) + b"]", "input", "at most 2048"),
        (b"[" + b",".join([b"{}"] * 2_000_000) + b"]", "input[0]", "must be"),
        (b'["a",' + b",".join([b"[]"] * 2_000_000) + b"]", "input[1]", "string"),
        (b"[1," + b",".join([b"{}"] * 2_000_000) + b"]", "input[1]", "integer"),
        (b"[" + b",".join([b'""'] * 1_000_000) + b"]", "input", "1000000 entries"),
        (b'"x","metadata":[' + b",".join([b"{}"] * 2_000_000) + b"]", "", ""),
        (b'"x","prompt":"' + b"x" * 2_000_000 + b'"', "prompt", "too large"),
        (b'"x",' + b",".join(b'"a%d":1' % number for number in range(300_000)), "a8", "Unsupported"),
    ],
    ids=["number", "lists", "objects", "text and lists", "id and objects", "texts", "ignored", "prompt", "names"],
)
def test_much_of_what_is_wrong_is_refused_before_it_is_made(value: bytes, param: str, words: str) -> None:
    body = b'{"model":"m","input":' + value + b"}"
    # A machine may be slow just now: making lists of as many bytes says how slow.
    began = time.process_time()
    msgspec.json.decode(b"[" + b"[]," * (len(body) // 3) + b"0]")
    limit = max(0.3, time.process_time() - began)
    began = time.process_time()
    if param:
        with pytest.raises(ApiError, match=words) as refused:
            parse_request(body)
        assert refused.value.param == param
    else:
        parse_request(body)
    assert time.process_time() - began < limit


@pytest.mark.parametrize("text", [rb"\ud800", rb"a \udc00 b", rb"\ud800\u0041", rb"\uD83D"])
def test_a_lone_surrogate_is_no_text(text: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse_request(b'{"model": "m", "input": "' + text + b'"}')
    assert "surrogate" in refused.value.message


def test_a_surrogate_pair_is_text() -> None:
    assert parse_request(rb'{"model": "m", "input": "\ud83d\ude00"}').inputs.texts == ("😀",)


def test_messages_cut_what_the_caller_sent() -> None:
    with pytest.raises(ApiError) as refused:
        parse(**{"x" * 10_000: 1})
    assert len(refused.value.message) < 400


def test_floats_and_base64_are_the_same_bits() -> None:
    numbers = [0.1, -1.5e-30, 3.4e38, 1 / 3, -0.0]
    vector = struct.pack("<5f", *numbers)
    floats = json.loads(write_answer([vector], 7, "m", "float"))
    coded = json.loads(write_answer([vector], 7, "m", "base64"))
    assert struct.pack("<5f", *floats["data"][0]["embedding"]) == vector
    assert base64.b64decode(coded["data"][0]["embedding"]) == vector
    assert floats["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert (coded["model"], coded["object"], coded["data"][0]["index"]) == ("m", "list", 0)
