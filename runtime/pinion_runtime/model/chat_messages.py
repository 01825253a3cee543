"""The messages of a chat as a template gets them: one form for what clients write in several. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..errors import InvalidInput

ROLES = ("system", "developer", "user", "assistant", "tool")
# Names under which servers give an answer's reasoning out, and clients send it back; the first is the one templates read.
_REASONING = ("reasoning_content", "reasoning", "thinking")
# What an answer of OpenAI's API also has. It says nothing that a model reads.
_IGNORED = frozenset(("annotations", "id", "object", "type", "status"))
_OF_ROLES: Mapping[str, tuple[str, ...]] = {
    "assistant": ("refusal", "tool_calls", *_REASONING),
    "tool": ("tool_call_id",),
}
_COMMON = ("role", "content", "name")
_SHOWN = 60  # characters of a value in a message


class InvalidMessage(InvalidInput):
    """A message that is not taken; `place` is the field, as `messages[2].content[0]`."""

    def __init__(self, place: str, problem: str, index: int = 0) -> None:
        super().__init__(f"{place} {problem}", index)
        self.place = place


def normalise_messages(messages: Any, *, knows_developer: bool = False, argument_objects: bool = True) -> list[dict[str, Any]]:
    """Return messages in which `content` is always text; raise InvalidMessage.

    Null is empty, parts of text are joined in their order, lists without entries are absent. The role developer is system where
    the template does not know it. A call's arguments are objects, as templates take them, or JSON unless `argument_objects`.
    """
    if not isinstance(messages, list):
        raise InvalidMessage("messages", f"must be a list of objects, not {_kind(messages)}")
    if not messages:
        raise InvalidMessage("messages", "is empty: a chat has at least one message")
    return [_message(message, index, knows_developer, argument_objects) for index, message in enumerate(messages)]


def _message(message: Any, index: int, knows_developer: bool, argument_objects: bool) -> dict[str, Any]:
    place = f"messages[{index}]"

    def refuse(field: str, problem: str) -> InvalidMessage:
        return InvalidMessage(f"{place}{field}", problem, index)

    if not isinstance(message, dict):
        raise refuse("", f"must be an object, not {_kind(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise refuse(".role", f"is {_show(role)}; it must be one of {', '.join(ROLES)}")
    taken = (*_COMMON, *_OF_ROLES.get(role, ()))
    for name, value in message.items():
        if name not in taken and name not in _IGNORED and value not in (None, [], {}, ""):
            raise refuse(f".{_cut(name)}", f"is not supported in a message of the role {role}")
    result: dict[str, Any] = {"role": "system" if role == "developer" and not knows_developer else role}
    result["content"] = _content(message.get("content"), role, refuse)
    if role == "assistant":
        result["content"] = result["content"] or _text(message.get("refusal"), ".refusal", refuse)
        result |= _reasoning(message, refuse)
        if calls := _tool_calls(message.get("tool_calls"), argument_objects, refuse):
            result["tool_calls"] = calls
    for name in ("name", "tool_call_id"):
        if name in taken and (value := _text(message.get(name), f".{name}", refuse)):
            result[name] = value
    return result


_Refuse = Callable[[str, str], InvalidMessage]


def _content(content: Any, role: str, refuse: _Refuse) -> str:
    if not isinstance(content, list):
        return _text(content, ".content", refuse, "must be a text, a list of parts or null")
    texts = []
    for number, part in enumerate(content):
        field = f".content[{number}]"
        if not isinstance(part, dict):
            raise refuse(field, f"must be an object with a type, not {_kind(part)}")
        kind = part.get("type")
        if kind != "text" and not (kind == "refusal" and role == "assistant"):
            has = "no type" if kind is None else f"the type {_show(kind)}"
            raise refuse(field, f"has {has}; only parts of the type text are taken")
        if not isinstance(part.get(kind), str):
            raise refuse(f"{field}.{kind}", f"must be a text, not {_kind(part.get(kind))}")
        texts.append(_text(part[kind], f"{field}.{kind}", refuse))
    return "".join(texts)


def _reasoning(message: Mapping[str, Any], refuse: _Refuse) -> dict[str, str]:
    found = {name: text for name in _REASONING if (text := _text(message.get(name), f".{name}", refuse))}
    if len(set(found.values())) > 1:
        one, other = list(found)[:2]
        raise refuse(f".{other}", f"differs from {one}, and is another name of it")
    return {_REASONING[0]: next(iter(found.values()))} if found else {}


def _tool_calls(calls: Any, argument_objects: bool, refuse: _Refuse) -> list[dict[str, Any]]:
    if calls is None:
        return []
    if not isinstance(calls, list):
        raise refuse(".tool_calls", f"must be a list of objects or null, not {_kind(calls)}")
    result = []
    for number, call in enumerate(calls):
        field = f".tool_calls[{number}]"
        if not isinstance(call, dict):
            raise refuse(field, f"must be an object, not {_kind(call)}")
        if call.get("type", "function") != "function":
            raise refuse(f"{field}.type", f"is {_show(call['type'])}; only function is taken")
        function = call.get("function")
        if not isinstance(function, dict):
            raise refuse(f"{field}.function", f"must be an object, not {_kind(function)}")
        name = _text(function.get("name"), f"{field}.function.name", refuse)
        if not name:
            raise refuse(f"{field}.function.name", "is missing")
        arguments = _arguments(function.get("arguments"), f"{field}.function.arguments", argument_objects, refuse)
        found = {"type": "function", "function": {"name": name, "arguments": arguments}}
        if id := _text(call.get("id"), f"{field}.id", refuse):
            found = {"id": id, **found}
        result.append(found)
    return result


def _arguments(arguments: Any, field: str, as_object: bool, refuse: _Refuse) -> Any:
    value = {} if arguments in (None, "") else arguments
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(_text(value, field, refuse))
        except (msgspec.DecodeError, RecursionError) as error:
            raise refuse(field, f"is not JSON: {error or 'it is nested too deep'}") from error
    if not isinstance(value, dict):
        raise refuse(field, f"must be an object of JSON, not {_kind(value)}")
    return value if as_object else msgspec.json.encode(value).decode()


def _text(value: Any, field: str, refuse: _Refuse, must: str = "must be a text or null") -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise refuse(field, f"{must}, not {_kind(value)}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise refuse(field, "is not valid Unicode: it has a lone surrogate")
    return value


_KINDS: Sequence[tuple[type, str]] = (
    (bool, "true or false"),
    (str, "a text"),
    (dict, "an object"),
    (list, "a list"),
    (int, "a number"),
    (float, "a number"),
)


def _kind(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "null")


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    return repr(_cut(value)) if isinstance(value, str) else _kind(value)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
