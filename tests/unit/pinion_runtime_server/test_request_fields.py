"""The fields beside the texts: on every route the same are honoured, ignored, and refused with what helps."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pinion_runtime.server.errors import ApiError, shorten
from pinion_runtime.server.tasks.embeddings import protocol as embeddings
from pinion_runtime.server.tasks.fields import BY_NAME, FIELDS, MAX_PROMPT_CHARACTERS, Effect
from pinion_runtime.server.tasks.hub import protocol as hub
from pinion_runtime.server.tasks.options import Options
from pinion_runtime.server.tasks.reading import check_query

Parse = Callable[..., Any]


def openai(**fields: Any) -> Any:
    return embeddings.parse_request(json.dumps({"model": "m", "input": "x"} | fields).encode())


def hubs(**fields: Any) -> Any:
    return hub.parse_request(json.dumps({"inputs": "x"} | fields).encode())


def below(**fields: Any) -> Any:
    return hubs(parameters=fields)


every_route = pytest.mark.parametrize("parse", [openai, hubs, below], ids=["/v1/embeddings", "/ and /embed", "parameters"])


def with_effect(*effects: Effect) -> list[str]:
    return [field.name for field in FIELDS if field.effect in effects]


def test_no_field_is_in_the_table_twice_and_each_says_what_it_does() -> None:
    assert len(BY_NAME) == len(FIELDS)
    for field in FIELDS:
        assert bool(field.text) == (field.effect not in (Effect.ALIAS, Effect.IGNORED)), field
        assert field.effect is not Effect.ALIAS or BY_NAME[field.same_as].effect is Effect.HONOURED


@every_route
def test_null_is_absent(parse: Parse) -> None:
    request = parse(**dict.fromkeys(BY_NAME), nobody_knows_it=None)
    assert (request.options, request.encoding_format) == (Options(), "float")


TEXT = {"a small body": "x", "a large body": "word " * 300_000}
NOBODYS = ["nobody_knows_it", "", "a-b", "class", "__dict__", "a`b", "é", "x" * 5000]


def told(body: dict[str, Any]) -> tuple[int, str, str | None]:
    with pytest.raises(ApiError) as refused:
        hub.parse_request(json.dumps(body).encode())
    return refused.value.status, refused.value.code, refused.value.param


@pytest.mark.parametrize("text", TEXT.values(), ids=TEXT)
@pytest.mark.parametrize("name", NOBODYS, ids=lambda name: name[:12])
def test_a_name_that_nobody_knows_counts_as_little_in_a_large_body(text: str, name: str) -> None:
    assert hub.parse_request(json.dumps({"inputs": text, name: None}).encode()).options == Options()
    assert hub.parse_request(json.dumps({name: None, "inputs": text, "normalize": True}).encode()).options.normalize
    assert told({"inputs": text, "one": None, name: 1}) == (400, "unsupported_parameter", shorten(name))
    assert told({name: {}, "inputs": text, "one": None}) == (400, "unsupported_parameter", shorten(name))


@pytest.mark.parametrize("text", TEXT.values(), ids=TEXT)
def test_how_many_names_that_nobody_knows_may_be_null(text: str) -> None:
    names = [f"field{number}" for number in range(9)]
    assert hub.parse_request(json.dumps({"inputs": text} | dict.fromkeys(names[:8])).encode()).options == Options()
    assert told({"inputs": text} | dict.fromkeys(names)) == (400, "unsupported_parameter", "field8")


@pytest.mark.parametrize("text", TEXT.values(), ids=TEXT)
@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\0b"])
def test_a_name_that_no_field_has_is_refused_even_when_null(text: str, name: str) -> None:
    assert told({"inputs": text, name: None}) == (400, "unsupported_parameter", name)


def test_null_is_absent_in_the_routes_own_fields_too() -> None:
    assert hubs(model=None, parameters=None, options=None).model is None
    assert openai(parameters=None, options=None).options == Options()
    for field in ("model", "input"):
        with pytest.raises(ApiError) as refused:
            openai(**{field: None})
        assert refused.value.param == field


@every_route
@pytest.mark.parametrize("name", with_effect(Effect.IGNORED))
@pytest.mark.parametrize("value", ["me", 5, {"a": [1]}, [], False])
def test_what_can_not_change_a_vector_is_ignored(parse: Parse, name: str, value: Any) -> None:
    assert parse(**{name: value}).options == Options()


@pytest.mark.parametrize("parse", [openai, hubs])
@pytest.mark.parametrize(
    "options", [{}, 5, [], {"wait_for_model": True, "use_cache": False}, {"num_ctx": 5}, {"truncate": None}]
)
def test_the_hubs_own_options_are_ignored(parse: Parse, options: Any) -> None:
    assert parse(options=options, parameters={}).options == Options()


@pytest.mark.parametrize("parse", [openai, hubs])
@pytest.mark.parametrize("options", [{"truncate": True}, {"normalize": False}, {"input_type": "query"}, {"normalized": True}])
def test_an_option_that_would_be_lost_there_is_refused(parse: Parse, options: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="beside the texts") as refused:
        parse(options=options)
    assert refused.value.param == f"options.{next(iter(options))}"


@every_route
@pytest.mark.parametrize("name", with_effect(Effect.AGREES))
def test_what_says_what_is_done_anyway_is_taken_and_nothing_else(parse: Parse, name: str) -> None:
    field = BY_NAME[name]
    for value in field.agrees:
        assert parse(**{name: value}).options == Options()
    for value in ("something else", 0, 2, [], ["int8"], not field.agrees[0]):
        with pytest.raises(ApiError) as refused:
            parse(**{name: value})
        assert field.text in refused.value.message
        assert str(refused.value.param).endswith(name)


@every_route
@pytest.mark.parametrize("name", with_effect(Effect.REFUSED))
def test_what_would_change_a_vector_is_refused_with_what_helps(parse: Parse, name: str) -> None:
    for value in ("query", 5, True, False):
        with pytest.raises(ApiError) as refused:
            parse(**{name: value})
        assert (refused.value.status, refused.value.code) == (400, "unsupported_parameter")
        assert BY_NAME[name].text in refused.value.message
        assert str(refused.value.param).endswith(name)


@every_route
@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"truncate": True}, Options(truncate=True)),
        ({"truncate": False}, Options()),
        ({"truncate": "END"}, Options(truncate=True, cut="right")),
        ({"truncate": "end"}, Options(truncate=True, cut="right")),
        ({"truncate": "START"}, Options(truncate=True, cut="left")),
        ({"truncate": "NONE"}, Options()),
        ({"truncate": "END", "truncation_direction": "right"}, Options(truncate=True, cut="right")),
        ({"truncation": True}, Options(truncate=True)),
        ({"truncate": True, "truncation_direction": "Left"}, Options(truncate=True, cut="left")),
        ({"truncate": True, "truncation_side": "left"}, Options(truncate=True, cut="left")),
        ({"prompt_name": "query"}, Options(prompt_name="query")),
        ({"prompt": ""}, Options(prompt="")),
        ({"dimensions": 8}, Options(dimensions=8)),
        ({"output_dimension": 8, "dimensions": 8}, Options(dimensions=8)),
        ({"truncate_dim": 8}, Options(dimensions=8)),
        ({"normalize": False}, Options(normalize=False)),
        ({"normalized": True}, Options(normalize=True)),
        ({"normalize_embeddings": True}, Options(normalize=True)),
    ],
)
def test_what_is_honoured(parse: Parse, fields: dict[str, Any], options: Options) -> None:
    assert parse(**fields).options == options


@every_route
def test_both_forms_of_vectors(parse: Parse) -> None:
    for name in ("encoding_format", "embedding_type"):
        assert [parse(**{name: form}).encoding_format for form in ("float", "base64", None)] == ["float", "base64", "float"]


@every_route
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"encoding_format": "hex"}, "encoding_format", "base64"),
        ({"encoding_format": 1}, "encoding_format", "base64"),
        ({"embedding_type": "ubinary"}, "embedding_type", "embedding_type' must be 'float' or 'base64'"),
        ({"embedding_type": ["float"]}, "embedding_type", "base64"),
        ({"dimensions": 0}, "dimensions", "positive"),
        ({"dimensions": -1}, "dimensions", "positive"),
        ({"dimensions": "64"}, "dimensions", "positive"),
        ({"dimensions": True}, "dimensions", "positive"),
        ({"dimensions": 64.0}, "dimensions", "positive"),
        ({"truncate": "yes"}, "truncate", "'NONE', 'START' or 'END'"),
        ({"truncate": 1}, "truncate", "true, false"),
        ({"truncation": "longest_first"}, "truncation", "true, false"),
        ({"truncation_direction": "up"}, "truncation_direction", "'left' or 'right'"),
        ({"truncate": "START", "truncation_direction": "right"}, "truncation_direction", "START"),
        ({"normalize": 1}, "normalize", "true or false"),
        ({"prompt": 5}, "prompt", "string"),
        ({"prompt": "x" * 8193}, "prompt", "8192"),
        ({"prompt_name": 5}, "prompt_name", "string"),
        ({"prompt_name": "query", "prompt": "x"}, "prompt_name", "not both"),
    ],
)
def test_a_wrong_value_is_refused(parse: Parse, fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert refused.value.status == 400
    assert str(refused.value.param).rpartition(".")[2] == param
    assert words in refused.value.message


@pytest.mark.parametrize("parse", [openai, hubs])
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"nonsense": 1}, "nonsense", "Accepted: input"),
        ({"trunkate": True}, "trunkate", "Is it 'truncate'?"),
        ({"dimension": 8}, "dimension", "Is it 'dimensions'?"),
        ({"promptName": "query"}, "promptName", "Is it 'prompt_name'?"),
        ({"texts": ["x"]}, "texts", "the texts go into 'input"),
        ({"parameters": {"nonsense": 1}}, "parameters.nonsense", "Accepted: input"),
        ({"parameters": {"truncate": True}, "truncate": False}, "truncate", "twice"),
        ({"truncate": True, "truncation": False}, "truncation", "twice"),
        ({"dimensions": 1, "parameters": {"output_dimension": 2}}, "parameters.output_dimension", "twice"),
        ({"parameters": []}, "parameters", "object"),
        ({"parameters": "x"}, "parameters", "object"),
        ({"parameters": {"parameters": {}}}, "parameters.parameters", "Unsupported"),
    ],
)
def test_what_is_unknown_or_contradicts_itself(parse: Parse, fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert refused.value.status == 400
    assert refused.value.param == param
    assert words in refused.value.message


@pytest.mark.parametrize("number", ["1e999", "[1e400]", "9" * 5000, '{"a": [-1e999]}'])
@pytest.mark.parametrize("name", ["dimensions", "parameters", "options", "model"])
def test_a_number_that_is_out_of_range_is_refused(name: str, number: str) -> None:
    with pytest.raises(ApiError, match="out of range") as refused:
        hub.parse_request(f'{{"inputs": "x", "{name}": {number}}}'.encode())
    assert (refused.value.status, refused.value.param) == (400, name)


def test_the_longest_prompt_however_it_is_written() -> None:
    prompt = "\U0001f600" * MAX_PROMPT_CHARACTERS
    assert hubs(prompt=prompt).options.prompt == prompt


def test_the_texts_in_another_shapes_field() -> None:
    with pytest.raises(ApiError, match="go into 'input' here"):
        openai(inputs=["x"])
    with pytest.raises(ApiError, match="go into 'inputs' here"):
        hubs(input=["x"])


IN_QUERIES = [*with_effect(Effect.HONOURED, Effect.ALIAS, Effect.AGREES, Effect.REFUSED), "model", "input", "inputs", "text"]


@pytest.mark.parametrize("name", IN_QUERIES)
def test_a_field_in_the_query_string_would_be_lost(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_query(f"{name}=1".encode())
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "unsupported_parameter", name)
    assert refused.value.message == f"{name!r} in the query string is not read: put it into the body."


FORMS = [
    b"dimensions",
    b"dimensions=",
    b"a=b&dimensions=3&c",
    b"a&&dimensions=3",
    b"dimension%73=3",
    b"%64imensions",
    b"prompt%5Fname",
]


@pytest.mark.parametrize("query", FORMS)
def test_a_field_in_the_query_string_however_it_is_written(query: bytes) -> None:
    with pytest.raises(ApiError, match="in the query string is not read"):
        check_query(query)


@pytest.mark.parametrize(
    "query",
    [b"", b"&", b"=", b"?", b"api-version=2024-10-21", b"%", b"%zz=1", b"\xff=1", b"x=dimensions", b"a=1&a=2", b"user=me"],
)
def test_anything_else_in_the_query_string_means_nothing(query: bytes) -> None:
    check_query(query)
