"""The values that hold others: stop strings and ids, biases, options of a stream, and a template's variables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ....model.template_runner import OPTIONS
from ...errors import invalid, shorten
from ..taking import as_json, unknown, unsupported
from .bounds import (
    MAX_BIAS,
    MAX_BIASES,
    MAX_DEPTH,
    MAX_STOP_CHARACTERS,
    MAX_STOP_IDS,
    MAX_STOPS,
    MAX_TEMPLATE_VARIABLES,
    MAX_TOKENS,
)
from .parameters import is_integer, is_number

_TOKEN_ID = re.compile(r"0|[1-9][0-9]{0,9}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# What the template is given beside the caller's variables, and what would change how it is found or run.
_DOCUMENTS = "documents"  # no variable, but what a template is told beside the messages: taken here, for it has no field


def parse_stop(value: str | Sequence[Any]) -> tuple[str, ...]:
    """Return stop strings, each once; raise the 400 for too many, for a long or an empty one, and for what is none."""
    if isinstance(value, str):
        _check_stop(value, "stop")
        return (value,)
    if len(value) > MAX_STOPS:
        raise invalid(f"'stop' has {len(value)} strings; at most {MAX_STOPS} are taken.", param="stop")
    for index, text in enumerate(value):
        _check_stop(text, f"stop[{index}]")
    return tuple(dict.fromkeys(value))


def _check_stop(text: Any, place: str) -> None:
    if not isinstance(text, str):
        raise invalid(f"'{place}' must be a string.", param=place)
    if not 1 <= len(text) <= MAX_STOP_CHARACTERS:
        message = f"'{place}' has {len(text)} characters; a stop string has 1 to {MAX_STOP_CHARACTERS}."
        raise invalid(message, param=place)


def parse_stop_ids(value: Sequence[Any]) -> tuple[int, ...]:
    """Return stop ids; raise the 400 for too many, and for what is no id."""
    if len(value) > MAX_STOP_IDS:
        raise invalid(f"'stop_token_ids' has {len(value)} ids; at most {MAX_STOP_IDS} are taken.", param="stop_token_ids")
    for index, number in enumerate(value):
        if not is_integer(number, 0, MAX_TOKENS):
            place = f"stop_token_ids[{index}]"
            raise invalid(f"'{place}' must be a token id, an integer that is not negative.", param=place)
    return tuple(value)


def parse_logit_bias(value: Mapping[str, Any]) -> dict[int, float]:
    """Return biases by token id; raise the 400 for too many, for a key that is no id, and for a value out of range."""
    if len(value) > MAX_BIASES:
        raise invalid(f"'logit_bias' has {len(value)} entries; at most {MAX_BIASES} are taken.", param="logit_bias")
    biases: dict[int, float] = {}
    for key, bias in value.items():
        place = bias_place(key)
        if _TOKEN_ID.fullmatch(key) is None:
            raise invalid(f"'{place}': {shorten(key)!r} is no token id; ids are decimal numbers as strings.", param=place)
        if not is_number(bias, -MAX_BIAS, MAX_BIAS):
            message = f"'{place}' is {shorten(as_json(bias))}; it must be a number from {-MAX_BIAS} to {MAX_BIAS}."
            raise invalid(message, param=place)
        biases[int(key)] = float(bias)
    return biases


def bias_place(key: str | int) -> str:
    """Return the name of one bias."""
    return f"logit_bias.{shorten(str(key))}"


def parse_stream_options(value: Mapping[str, Any]) -> bool:
    """Return whether the counts of tokens are sent; raise the 400 for any other option that would do something."""
    for name, option in value.items():
        place = f"stream_options.{shorten(name)}"
        if option is None:
            continue
        if name == "include_usage":
            if not isinstance(option, bool):
                raise invalid(f"'{place}' must be true or false.", param=place)
        elif name == "continuous_usage_stats":
            _only_false(option, place, "counts come in an event of their own, the last")
        elif name == "include_obfuscation":
            _only_false(option, place, "events are not padded")
        else:
            raise unknown(name, place, ("include_usage",), ("include_usage",))
    return value.get("include_usage") is True


def _only_false(option: Any, place: str, text: str) -> None:
    if option is not False:
        raise unsupported(f"'{place}' must be false: {text}.", place)


def parse_template_variables(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a chat template; raise the 400 for too many, deep ones, and names that are not the caller's."""
    name = "chat_template_kwargs"
    if len(value) > MAX_TEMPLATE_VARIABLES:
        raise invalid(f"'{name}' has {len(value)} variables; at most {MAX_TEMPLATE_VARIABLES} are taken.", param=name)
    for variable, content in value.items():
        place = f"{name}.{shorten(variable)}"
        if _VARIABLE.fullmatch(variable) is None:
            raise invalid(f"'{place}': {shorten(variable)!r} is no name of a variable.", param=place)
        if variable == _DOCUMENTS and content is not None and not _is_list_of_objects(content):
            raise invalid(f"'{place}' must be a list of objects.", param=place)
        if variable in OPTIONS - {_DOCUMENTS}:
            raise unsupported(f"'{place}' is not taken: it is given to every template, or is a parameter of its own.", place)
        if deeper_than(MAX_DEPTH, content):
            raise invalid(f"'{place}' is nested deeper than {MAX_DEPTH} levels.", param=place)
    return dict(value)


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def deeper_than(most: int, value: Any) -> bool:
    """Tell whether lists and objects lie in one another on more than `most` levels."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
