"""The parameters of both generating routes: honoured, ignored, or refused with what helps; each wrong value by its name."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params

from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.tasks.chat import protocol as chats
from pinion_runtime.server.tasks.completions import protocol as completions
from pinion_runtime.server.tasks.fields import Effect
from pinion_runtime.server.tasks.generation.options import GenerationOptions
from pinion_runtime.server.tasks.generation.parameters import PARAMETERS, ROUTES, TABLES, Route
from pinion_runtime.server.tasks.generation.reading import check_query

Parse = Callable[..., Any]


def completion(**fields: Any) -> Any:
    return completions.parse_request(json.dumps({"model": "m", "prompt": "x"} | fields).encode())


def chat(**fields: Any) -> Any:
    messages = [{"role": "user", "content": "x"}]
    return chats.parse_request(json.dumps({"model": "m", "messages": messages} | fields).encode())


PARSERS: dict[Route, Parse] = {"completions": completion, "chat": chat}
both = pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
EACH = [(route, name) for route in ROUTES for name in TABLES[route]]


def with_effect(*effects: Effect) -> list[tuple[Route, str]]:
    return [(route, name) for route, name in EACH if TABLES[route][name].effect in effects]


def refusal(parse: Parse, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    return refused.value


def test_no_parameter_is_in_a_table_twice_and_each_says_what_it_does() -> None:
    assert sum(map(len, TABLES.values())) == sum(len(parameter.on) for parameter in PARAMETERS)
    for route, name in EACH:
        parameter = TABLES[route][name]
        assert bool(parameter.text) == (parameter.effect not in (Effect.ALIAS, Effect.IGNORED)), parameter
        assert bool(parameter.takes) == (parameter.effect is Effect.HONOURED), parameter
        assert parameter.effect is not Effect.ALIAS or TABLES[route][parameter.same_as].effect is Effect.HONOURED


@pytest.mark.parametrize("route", ROUTES)
def test_every_parameter_of_the_official_client_is_known(route: Route) -> None:
    types = {
        "completions": completion_create_params.CompletionCreateParamsStreaming,
        "chat": chat_create_params.CompletionCreateParamsStreaming,
    }
    assert inspect.get_annotations(types[route]).keys() <= TABLES[route].keys()


# The request models of vLLM at 002032ee, with older names; those of its chat alone; and text-generation-inference's.
VLLM = (
    "add_special_tokens allowed_token_ids bad_words cache_salt ec_transfer_params ignore_eos include_stop_str_in_output"
    " kv_transfer_params length_penalty logprob_token_ids min_p min_tokens priority prompt_logprobs repetition_detection"
    " repetition_penalty request_id response_format return_mm_kwargs return_token_ids return_token_offsets"
    " return_tokens_as_token_ids routed_experts_prompt_start session_id skip_special_tokens spaces_between_special_tokens"
    " stop_token_ids stream_interval structured_outputs thinking_token_budget top_k truncate_prompt_tokens truncation_side"
    " use_beam_search vllm_xargs watermarking prompt_embeds guided_json guided_regex guided_choice guided_grammar best_of"
)
VLLM_CHAT = (
    "add_generation_prompt chat_template chat_template_kwargs continue_final_message documents echo include_reasoning"
    " media_io_kwargs mm_processor_kwargs reasoning_effort return_prompt_text tool_choice tools"
)
TGI = (
    "adapter_id best_of decoder_input_details details do_sample frequency_penalty grammar guideline max_new_tokens"
    " repetition_penalty return_full_text seed stop temperature tool_prompt top_k top_n_tokens top_p truncate typical_p"
    " watermark"
)


@pytest.mark.parametrize("route", ROUTES)
def test_every_parameter_of_other_servers_is_known(route: Route) -> None:
    names = {*VLLM.split(), *TGI.split(), *(VLLM_CHAT.split() if route == "chat" else ())}
    assert sorted(names - TABLES[route].keys()) == []


@both
def test_null_is_absent(parse: Parse) -> None:
    names = {name for _, name in EACH} - {"model", "prompt", "messages"}
    assert parse(**dict.fromkeys(names), nobody_knows_it=None).options == GenerationOptions("m")


@pytest.mark.parametrize(("route", "name"), with_effect(Effect.IGNORED))
@pytest.mark.parametrize("value", ["me", 5, {"a": [1]}, [], False])
def test_what_can_not_change_an_answer_is_ignored(route: Route, name: str, value: Any) -> None:
    assert PARSERS[route](**{name: value}).options == GenerationOptions("m")


@pytest.mark.parametrize(("route", "name"), with_effect(Effect.AGREES))
def test_what_says_what_is_done_anyway_is_taken_and_nothing_else(route: Route, name: str) -> None:
    parameter = TABLES[route][name]
    for value in parameter.agrees:
        assert PARSERS[route](**{name: value}).options == GenerationOptions("m")
    for value in ("something else", 0.5, 2, {}, ["audio"], not parameter.agrees[0], [{"type": "function"}], "x" * 300_000):
        error = refusal(PARSERS[route], **{name: value})
        assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)
        assert parameter.text in error.message


# What OpenAI's API does where a parameter is not sent: clients that send it anyway mean no other answer.
DEFAULTS: dict[str, Any] = {
    **{"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "functions": [], "function_call": "auto"},
    **{"response_format": {"type": "text"}, "modalities": ["text"], "verbosity": "medium", "reasoning_effort": "none"},
    **{"store": False, "metadata": {}, "service_tier": "auto", "user": "", "logit_bias": {}, "stop": [], "n": 1},
    **{"temperature": None, "seed": None, "max_tokens": None, "audio": None, "prediction": None, "web_search_options": None},
    **{"safety_identifier": "x", "prompt_cache_key": "x", "prompt_cache_retention": "in_memory", "stream": False},
}


@both
def test_what_clients_send_by_default_changes_nothing(parse: Parse) -> None:
    assert parse(**DEFAULTS).options == GenerationOptions("m")
    assert parse(**DEFAULTS | {"tool_choice": "none", "function_call": "none"}).options == GenerationOptions("m")


@both
@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_of_tools_does_not_let_tools_in(parse: Parse, choice: str) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    assert refusal(parse, tool_choice=choice, tools=[tool]).param == "tools"
    assert refusal(parse, tool_choice="required").param == "tool_choice"
    assert refusal(parse, tool_choice=tool).param == "tool_choice"


@pytest.mark.parametrize(("route", "name"), with_effect(Effect.REFUSED))
def test_what_is_refused_says_what_helps(route: Route, name: str) -> None:
    for value in ("query", 5, True, False, "x" * 300_000):
        error = refusal(PARSERS[route], **{name: value})
        assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)
        assert TABLES[route][name].text in error.message


@both
@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 2.0}, {"temperature": 2.0}),
        ({"top_p": 1}, {"top_p": 1}),
        ({"top_p": 1e-5}, {"top_p": 1e-5}),
        ({"top_k": -1}, {"top_k": -1}),
        ({"top_k": 0}, {"top_k": 0}),
        ({"top_k": 50}, {"top_k": 50}),
        ({"min_p": 0.05}, {"min_p": 0.05}),
        ({"seed": 2**63 - 1}, {"seed": 2**63 - 1}),
        ({"seed": -(2**63)}, {"seed": -(2**63)}),
        ({"presence_penalty": -2, "frequency_penalty": 2}, {"presence_penalty": -2, "frequency_penalty": 2}),
        ({"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"logit_bias": {"0": -100, "50256": 100.0}}, {"logit_bias": {0: -100.0, 50256: 100.0}}),
        ({"logit_bias": {}}, {}),
        ({"logit_bias": {str(key): 1 for key in range(1024)}}, {"logit_bias": dict.fromkeys(range(1024), 1.0)}),
        ({"n": 128}, {"n": 128}),
        ({"stop": "\n"}, {"stop": ("\n",)}),
        ({"stop": []}, {}),
        ({"stop": ["a", "b", "a"]}, {"stop": ("a", "b")}),
        ({"stop": ["\U0001f600" * 1023 + str(each % 10) for each in range(16)]}, None),
        ({"stop_token_ids": [5, 0]}, {"stop_token_ids": (5, 0)}),
        ({"ignore_eos": True}, {"ignore_eos": True}),
        ({"min_tokens": 5, "max_tokens": 5}, {"min_tokens": 5, "max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": None, "max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": None}, {}),
        ({"stream": True}, {"stream": True}),
        ({"stream": True, "stream_options": {}}, {"stream": True}),
        ({"stream": True, "stream_options": {"include_usage": False}}, {"stream": True}),
        ({"stream": True, "stream_options": {"include_usage": None}}, {"stream": True}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True, "include_usage": True}),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, {"stream": True}),
        ({"stream": False, "stream_options": None}, {}),
        ({"skip_special_tokens": False}, {"skip_special_tokens": False}),
    ],
)
def test_what_is_honoured(parse: Parse, fields: dict[str, Any], changed: dict[str, Any] | None) -> None:
    options = parse(**fields).options
    if changed is None:  # the longest stop strings that there may be
        changed = {"stop": tuple(dict.fromkeys(fields["stop"]))}
    assert options == GenerationOptions("m", **changed)


NUMBERS = ["temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"]
INTEGERS = ["top_k", "seed", "n", "min_tokens", "max_tokens", "max_completion_tokens"]
FLAGS = ["stream", "ignore_eos", "skip_special_tokens"]


@both
@pytest.mark.parametrize("value", ["1", True, False, [], {}, [1]])
@pytest.mark.parametrize("name", NUMBERS + INTEGERS)
def test_a_number_is_a_number(parse: Parse, name: str, value: Any) -> None:
    error = refusal(parse, **{name: value})
    assert (error.status, error.code, error.param) == (400, "invalid_request", name)


@both
@pytest.mark.parametrize("value", [1.0, 1.5, 1e300, -(2**70), 2**70])
@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_is_an_integer_within_its_range(parse: Parse, name: str, value: float) -> None:
    assert refusal(parse, **{name: value}).param == name


@both
@pytest.mark.parametrize("value", ["true", 1, 0, []])
@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_true_or_false(parse: Parse, name: str, value: Any) -> None:
    error = refusal(parse, **{name: value})
    assert (error.param, error.message) == (name, f"'{name}' must be true or false.")


@both
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"temperature": -1}, "temperature", "from 0 to 2"),
        ({"temperature": 2.01}, "temperature", "from 0 to 2"),
        ({"top_p": 0}, "top_p", "above 0 and up to 1"),
        ({"top_p": 1.01}, "top_p", "above 0 and up to 1"),
        ({"top_k": -2}, "top_k", "0 or -1"),
        ({"min_p": -0.1}, "min_p", "from 0 to 1"),
        ({"min_p": 1.1}, "min_p", "from 0 to 1"),
        ({"presence_penalty": 2.1}, "presence_penalty", "from -2 to 2"),
        ({"frequency_penalty": -2.1}, "frequency_penalty", "from -2 to 2"),
        ({"repetition_penalty": 0}, "repetition_penalty", "from 0.01 to 100"),
        ({"repetition_penalty": 101}, "repetition_penalty", "from 0.01 to 100"),
        ({"logit_bias": []}, "logit_bias", "object"),
        ({"logit_bias": {"cat": -1}}, "logit_bias.cat", "'cat' is no token id"),
        ({"logit_bias": {"-1": 5}}, "logit_bias.-1", "no token id"),
        ({"logit_bias": {"+1": 5}}, "logit_bias.+1", "no token id"),
        ({"logit_bias": {"01": 5}}, "logit_bias.01", "no token id"),
        ({"logit_bias": {"": 5}}, "logit_bias.", "no token id"),
        ({"logit_bias": {"٣": 5}}, "logit_bias.٣", "no token id"),
        ({"logit_bias": {"1.0": 5}}, "logit_bias.1.0", "no token id"),
        ({"logit_bias": {"5": None}}, "logit_bias.5", "is null"),
        ({"logit_bias": {"5": 1e308}}, "logit_bias.5", "from -100 to 100"),
        ({"logit_bias": {"5": 10**30}}, "logit_bias.5", "from -100 to 100"),
        ({"logit_bias": {"5": -100.1}}, "logit_bias.5", "from -100 to 100"),
        ({"logit_bias": {"5": True}}, "logit_bias.5", "is true"),
        ({"logit_bias": {"5": "1"}}, "logit_bias.5", "from -100 to 100"),
        ({"logit_bias": {str(key): 1 for key in range(1025)}}, "logit_bias", "1025 entries; at most 1024"),
        ({"n": 0}, "n", "from 1 to 128"),
        ({"n": 129}, "n", "from 1 to 128"),
        ({"stop": 5}, "stop", "a string, or a list"),
        ({"stop": ""}, "stop", "0 characters"),
        ({"stop": "x" * 1025}, "stop", "1025 characters"),
        ({"stop": ["a", ""]}, "stop[1]", "0 characters"),
        ({"stop": ["a", None]}, "stop[1]", "string"),
        ({"stop": [["a"]]}, "stop[0]", "string"),
        ({"stop": ["a"] * 17}, "stop", "17 strings; at most 16"),
        ({"stop": "x" * 300_000}, "stop", "too large"),
        ({"stop_token_ids": 5}, "stop_token_ids", "list"),
        ({"stop_token_ids": [1, -1]}, "stop_token_ids[1]", "token id"),
        ({"stop_token_ids": [1, True]}, "stop_token_ids[1]", "token id"),
        ({"stop_token_ids": [1, 2**40]}, "stop_token_ids[1]", "token id"),
        ({"stop_token_ids": [1.0]}, "stop_token_ids[0]", "token id"),
        ({"stop_token_ids": [1] * 1025}, "stop_token_ids", "1025 ids; at most 1024"),
        ({"min_tokens": -1}, "min_tokens", "from 0"),
        ({"min_tokens": 6, "max_tokens": 5}, "min_tokens", "more than 'max_tokens', which is 5"),
        ({"min_tokens": 6, "max_completion_tokens": 5}, "min_tokens", "more than 'max_completion_tokens'"),
        ({"max_tokens": -1}, "max_tokens", "integer"),
        ({"max_tokens": 0}, "max_tokens", ""),
        ({"max_completion_tokens": 0}, "max_completion_tokens", ""),
        ({"max_tokens": 5, "max_completion_tokens": 9}, "max_completion_tokens", "given twice"),
        ({"stream_options": {}}, "stream_options", "'stream': true"),
        ({"stream_options": {"include_usage": True}, "stream": False}, "stream_options", "'stream': true"),
        ({"stream_options": [], "stream": True}, "stream_options", "object"),
        ({"stream_options": {"include_usage": 1}, "stream": True}, "stream_options.include_usage", "true or false"),
        (
            {"stream_options": {"include_usages": True}, "stream": True},
            "stream_options.include_usages",
            "Is it 'include_usage'",
        ),
        (
            {"stream_options": {"continuous_usage_stats": True}, "stream": True},
            "stream_options.continuous_usage_stats",
            "false",
        ),
        ({"stream_options": {"include_obfuscation": True}, "stream": True}, "stream_options.include_obfuscation", "false"),
        ({"model": ""}, "model", "name of the model"),
        ({"model": 5}, "model", "name of the model"),
        ({"model": None}, "model", "must name the model"),
        ({"temprature": 1}, "temprature", "Is it 'temperature'?"),
        ({"nonsense": 1}, "nonsense", "Accepted: model"),
        ({"response_format": {"type": "json_object"}}, "response_format", '{"type":"text"}'),
        ({"tools": [{"type": "function"}]}, "tools", "not taken yet"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_value_is_named(parse: Parse, fields: dict[str, Any], param: str, words: str) -> None:
    error = refusal(parse, **fields)
    assert (error.status, error.param) == (400, param)
    assert words in error.message
    assert len(error.message) < 1200


def test_a_stop_string_that_is_repeated_counts_once_but_is_counted() -> None:
    assert completion(stop=["a"] * 16).options.stop == ("a",)


@pytest.mark.parametrize("route", ROUTES)
def test_a_parameter_in_the_query_string_would_be_lost(route: Route) -> None:
    for name, parameter in TABLES[route].items():
        if parameter.effect is Effect.IGNORED:
            check_query(f"{name}=1".encode(), TABLES[route])
            continue
        with pytest.raises(ApiError, match="put it into the body") as refused:
            check_query(f"a=b&{name}=1".encode(), TABLES[route])
        assert refused.value.param == name
    check_query(b"api-version=2024-10-21&&=", TABLES[route])
