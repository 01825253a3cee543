"""Messages as clients write them, and as a template gets them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinion_runtime.model.chat_messages import ROLES, InvalidMessage, normalise_messages
from tests.support.fuzzing import EXAMPLES


def call(arguments: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "weather", "arguments": arguments}, **more}


TAKEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"role": "user", "content": "tea"}, {"role": "user", "content": "tea"}),
    "null is empty": ({"role": "user", "content": None}, {"role": "user", "content": ""}),
    "missing is empty": ({"role": "assistant"}, {"role": "assistant", "content": ""}),
    "no parts": ({"role": "user", "content": []}, {"role": "user", "content": ""}),
    "parts in their order": (
        {"role": "user", "content": [{"type": "text", "text": "green "}, {"type": "text", "text": "tea"}]},
        {"role": "user", "content": "green tea"},
    ),
    "null and no calls": (
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "content": ""},
    ),
    "what an answer has": (
        {
            **{"role": "assistant", "content": "tea", "refusal": None, "annotations": [], "audio": None},
            **{"function_call": None, "tool_calls": None, "reasoning_content": None},
        },
        {"role": "assistant", "content": "tea"},
    ),
    "a refusal is what was said": ({"role": "assistant", "refusal": "No."}, {"role": "assistant", "content": "No."}),
    "a part that is a refusal": (
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": "No."},
    ),
    "developer": ({"role": "developer", "content": "Be brief."}, {"role": "system", "content": "Be brief."}),
    "reasoning_content": (
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
    ),
    "reasoning": (
        {"role": "assistant", "content": "4", "reasoning": "2+2"},
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
    ),
    "the same reasoning under two names": (
        {"role": "assistant", "content": "4", "thinking": "2+2", "reasoning": "2+2", "reasoning_content": ""},
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
    ),
    "name": ({"role": "user", "content": "tea", "name": "ada"}, {"role": "user", "content": "tea", "name": "ada"}),
    "no name": ({"role": "user", "content": "tea", "name": None}, {"role": "user", "content": "tea"}),
    "arguments as JSON": (
        {"role": "assistant", "content": None, "tool_calls": [call('{"city": "Bern"}', id="c1")]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", **call({"city": "Bern"})}]},
    ),
    "arguments as an object": (
        {"role": "assistant", "tool_calls": [call({"city": "Bern"})]},
        {"role": "assistant", "content": "", "tool_calls": [call({"city": "Bern"})]},
    ),
    "no arguments": (
        {"role": "assistant", "tool_calls": [call("")]},
        {"role": "assistant", "content": "", "tool_calls": [call({})]},
    ),
    "a tool's answer": (
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": [{"type": "text", "text": "rain"}]},
        {"role": "tool", "content": "rain", "name": "weather", "tool_call_id": "c1"},
    ),
}


@pytest.mark.parametrize(("message", "wanted"), TAKEN.values(), ids=TAKEN)
def test_taken(message: dict[str, Any], wanted: dict[str, Any]) -> None:
    before = repr(message)
    assert normalise_messages([message]) == [wanted]
    assert repr(message) == before, "the caller's own message is as it was"


def test_developer_stays_where_the_template_knows_it() -> None:
    message = {"role": "developer", "content": "Be brief."}
    assert normalise_messages([message], knows_developer=True) == [message]


def test_arguments_stay_json_where_the_template_takes_that() -> None:
    (message,) = normalise_messages([{"role": "assistant", "tool_calls": [call({"a": 1})]}], argument_objects=False)
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


DEEP = "[" * 5000 + "]" * 5000
USER: dict[str, Any] = {"role": "user", "content": "tea"}
REFUSED: dict[str, tuple[Any, str, str]] = {
    "no list": ("tea", "messages", "must be a list of objects, not a text"),
    "null": (None, "messages", "must be a list of objects, not null"),
    "empty": ([], "messages", "is empty"),
    "a text": ([USER, "tea"], "messages[1]", "must be an object, not a text"),
    "no role": ([USER, {"content": "tea"}], "messages[1].role", "is missing; it must be one of system, developer"),
    "another role": ([{"role": "function", "content": "x"}], "messages[0].role", "is 'function'; it must be one of"),
    "a number as role": ([{"role": 3, "content": "x"}], "messages[0].role", "is a number"),
    "a list as role": ([{"role": ["user"], "content": "x"}], "messages[0].role", "is a list"),
    "a number": ([{"role": "user", "content": 3}], "messages[0].content", "must be a text, a list of parts or null, not a n"),
    "a part that is a text": (
        [{"role": "user", "content": ["tea"]}],
        "messages[0].content[0]",
        "must be an object with a type",
    ),
    "an image": (
        [USER, {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]}],
        "messages[1].content[1]",
        "has the type 'image_url'; only parts of the type text are taken",
    ),
    "no type": ([{"role": "user", "content": [{"text": "x"}]}], "messages[0].content[0]", "has no type; only parts"),
    "a type that is an object": (
        [{"role": "user", "content": [{"type": {}}]}],
        "messages[0].content[0]",
        "has the type an obj",
    ),
    "a user's refusal": (
        [{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}],
        "messages[0].content[0]",
        "has the type 'refusal'",
    ),
    "a part without text": ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text", "not null"),
    "a surrogate": ([{"role": "user", "content": "\ud800"}], "messages[0].content", "is not valid Unicode"),
    "a surrogate in a part": (
        [{"role": "user", "content": [{"type": "text", "text": "x\udfff"}]}],
        "messages[0].content[0].text",
        "is not valid Unicode",
    ),
    "audio": (
        [{"role": "assistant", "audio": {"id": "x"}}],
        "messages[0].audio",
        "is not supported in a message of the role a",
    ),
    "calls of a user": ([{**USER, "tool_calls": [call({})]}], "messages[0].tool_calls", "is not supported in a message"),
    "reasoning of a user": ([{**USER, "reasoning": "x"}], "messages[0].reasoning", "is not supported in a message"),
    "two reasonings": (
        [{"role": "assistant", "reasoning": "x", "reasoning_content": "y"}],
        "messages[0].reasoning",
        "differs from reasoning_content",
    ),
    "calls that are none": ([{"role": "assistant", "tool_calls": "x"}], "messages[0].tool_calls", "must be a list of objects"),
    "a call that is none": (
        [{"role": "assistant", "tool_calls": [3]}],
        "messages[0].tool_calls[0]",
        "must be an object, not a n",
    ),
    "a call of another type": (
        [{"role": "assistant", "tool_calls": [{"type": "custom"}]}],
        "messages[0].tool_calls[0].type",
        "is 'custom'; only function",
    ),
    "a call of nothing": (
        [{"role": "assistant", "tool_calls": [{"type": "function"}]}],
        "messages[0].tool_calls[0].function",
        "must be an object, not null",
    ),
    "a call without a name": (
        [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}],
        "messages[0].tool_calls[0].function.name",
        "is missing",
    ),
    "arguments that are no JSON": (
        [{"role": "assistant", "tool_calls": [call("{")]}],
        "messages[0].tool_calls[0].function.arguments",
        "is not JSON",
    ),
    "arguments that are a list": (
        [{"role": "assistant", "tool_calls": [call("[1]")]}],
        "messages[0].tool_calls[0].function.arguments",
        "must be an object of JSON, not a list",
    ),
    "deep arguments": (
        [{"role": "assistant", "tool_calls": [call(DEEP)]}],
        "messages[0].tool_calls[0].function.arguments",
        "is not JSON",
    ),
    "a name that is none": ([{**USER, "name": 3}], "messages[0].name", "must be a text or null, not a number"),
    "a long key": ([{**USER, "k" * 500: 1}], f"messages[0].{'k' * 60}...", "is not supported"),
}


@pytest.mark.parametrize(("messages", "place", "problem"), REFUSED.values(), ids=REFUSED)
def test_refused(messages: Any, place: str, problem: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        normalise_messages(messages)
    assert refused.value.place == place
    assert str(refused.value).startswith(f"{place} ")
    assert problem in str(refused.value)
    assert len(str(refused.value)) < 300


NAMES = st.sampled_from(
    [
        *("role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "thinking", "refusal", "type", "text", "id"),
        *("function", "arguments", "x"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*ROLES, "text", "function", "{}", '{"a": [1]}', "", "tea"])
    | st.text(st.characters(), max_size=4)
)
VALUES = st.recursive(LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=5), max_leaves=12)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(ROLES)}, optional={"content": VALUES, "tool_calls": VALUES, "name": VALUES})
    | VALUES,
    max_size=4,
)


@settings(max_examples=EXAMPLES or 500)
@given(MESSAGES | VALUES)
def test_whatever_comes_is_taken_or_refused_by_its_place(messages: Any) -> None:
    found, refused = attempt(messages)
    if refused is not None:
        assert refused.place.startswith("messages")
        assert len(str(refused)) < 500
        return
    assert len(found) == len(messages)
    assert {message["role"] for message in found} <= set(ROLES) - {"developer"}
    assert all(isinstance(message["content"], str) for message in found)
    assert all(value not in (None, [], "") for message in found for name, value in message.items() if name != "content")
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


def attempt(messages: Any) -> tuple[list[dict[str, Any]], InvalidMessage | None]:
    try:
        return normalise_messages(messages), None
    except InvalidMessage as refused:
        return [], refused
