"""The request of the hub's shape: the body's shape picks the task, and a wrong one is told which there are."""

import base64
import json
import struct
from typing import Any

import pytest

from pinion_runtime.server.errors import ApiError, Code
from pinion_runtime.server.tasks.hub.protocol import SHAPES, parse_request, write_similarities, write_vectors
from pinion_runtime.server.tasks.options import Options


def parse(inputs: Any = "x", **fields: Any) -> Any:
    return parse_request(json.dumps({"inputs": inputs} | fields).encode())


def pair(source: Any, sentences: Any) -> dict[str, Any]:
    return {"source_sentence": source, "sentences": sentences}


@pytest.mark.parametrize(
    ("value", "texts", "tokens", "compares"),
    [
        ("kettle", ("kettle",), (), False),
        (["kettle", "teapot"], ("kettle", "teapot"), (), False),
        ([101, 102], (), ((101, 102),), False),
        ([[101], [102]], (), ((101,), (102,)), False),
        ("", ("",), (), False),
        (pair("a", ["b", "c"]), ("a", "b", "c"), (), True),
        (pair("", ["b", ""]), ("", "b", ""), (), True),
    ],
)
def test_the_shape_picks_the_task(value: Any, texts: Any, tokens: Any, compares: bool) -> None:
    request = parse(value)
    assert (request.inputs.texts, request.inputs.tokens, request.compares) == (texts, tokens, compares)


@pytest.mark.parametrize("value", [5, True, {}, {"text": "x"}, pair("a", ["b"]) | {"more": 1}])
def test_a_wrong_shape_is_told_the_right_ones(value: Any) -> None:
    with pytest.raises(ApiError) as refused:
        parse(value)
    assert (refused.value.status, refused.value.param) == (400, "inputs")
    assert SHAPES in refused.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"inputs": ["a", 5]}, "inputs[1]"),
        ({"inputs": ["x"] * 2049}, "inputs"),
        ({"inputs": pair(5, ["b"])}, "inputs.source_sentence"),
        ({"inputs": pair("a", "b")}, "inputs.sentences"),
        ({"inputs": pair("a", [])}, "inputs.sentences"),
        ({"inputs": pair("a", ["b", 5])}, "inputs.sentences[1]"),
        ({"inputs": pair("a", ["b"]), "encoding_format": "base64"}, "encoding_format"),
        ({"model": 5}, "model"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_inputs_must_be_there_in_an_object() -> None:
    for body in (b"", b"[]", b'"x"'):
        with pytest.raises(ApiError) as refused:
            parse_request(body)
        assert refused.value.code is Code.INVALID_JSON
    with pytest.raises(ApiError) as refused:
        parse_request(b"{}")
    assert refused.value.param == "inputs"
    with pytest.raises(ApiError, match="missing"):
        parse(None)


def test_vectors_of_length_one_are_the_default_of_one_route() -> None:
    assert parse_request(b'{"inputs": "x"}', normalize=True).options == Options(normalize=True)
    assert parse_request(b'{"inputs": "x", "normalize": false}', normalize=True).options == Options(normalize=False)


def test_what_is_answered() -> None:
    vectors = [struct.pack("<2f", *numbers) for numbers in ((3, 4), (4, -3), (6, 8), (0, 0))]
    assert json.loads(write_vectors(vectors[:2], "float")) == [[3, 4], [4, -3]]
    assert [base64.b64decode(each) for each in json.loads(write_vectors(vectors[:2], "base64"))] == vectors[:2]
    assert json.loads(write_similarities(vectors)) == pytest.approx([0, 1, 0])
