"""Messages to a prompt, by a model's own template and exactly as apply_chat_template of transformers does it.

A template is code of the repository: this runs in a process of its own, of which template_runner.py takes care.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

# Goes behind the text that is to be continued, to find the place again. The space tells whether the template cuts spaces off.
_MARK = "PINION_CONTINUES_HERE "
_REASONING = ("reasoning_content", "thinking", "reasoning")  # one text under three names; templates read the first or second


class TooLarge(Exception):
    """The prompt has more bytes than it may have."""


class ChatTemplate:
    """One compiled template; raises jinja2's TemplateSyntaxError."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._compiled = _environment().from_string(source)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        most_bytes: int,
    ) -> str:
        """Return the prompt; raise what the template raises, jinja2's TemplateError, or TooLarge past `most_bytes` of UTF-8.

        `variables` are special tokens and the caller's own. `continue_final_message` ends the prompt with the last message,
        or with that field of it which it names.
        """
        chat = [_prepare(message) for message in messages]
        final = self._mark(chat, continue_final_message) if continue_final_message else ""
        names = {"messages": chat, "tools": tools, "documents": documents, "add_generation_prompt": add_generation_prompt}
        pieces = []
        size = 0
        for piece in self._compiled.generate({**variables, **names}):
            pieces.append(piece)
            size += len(piece.encode("utf-8", "surrogatepass"))
            if size > most_bytes:
                raise TooLarge
        text = "".join(pieces)
        return _cut_at_mark(text, final) if continue_final_message else text

    def _mark(self, chat: list[dict[str, Any]], which: bool | str) -> str:
        """Put the mark behind the field to be continued, and return its text."""
        name = which if isinstance(which, str) else "content"
        message = chat[-1]
        value = message.get(name)
        if value is None:
            raise TemplateError(f"the last message has no {name} to continue")
        names = [one for one in _REASONING if message.get(one) == value] if name in _REASONING else [name]
        if not any(one in self._source for one in names):
            raise TemplateError(f"the template does not write {name}, so that it can't be continued")
        if isinstance(value, list):
            part = next((part for part in reversed(value) if isinstance(part, dict) and "text" in part), None)
            if part is None:
                raise TemplateError("the last message has no text to continue")
            text = part["text"]
            message[name] = [{**one, "text": text + _MARK} if one is part else one for one in value]
            return str(text)
        message |= dict.fromkeys(names, value + _MARK)
        return str(value)


def _prepare(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without what is null, with the reasoning under the names that templates know."""
    found = {name: value for name, value in message.items() if value is not None}
    reasoning = next((found[name] for name in _REASONING if name in found), None)
    if reasoning is None:
        return found
    return {"thinking": reasoning, **found, "reasoning_content": reasoning}


def _cut_at_mark(text: str, final: str) -> str:
    place = text.rfind(_MARK.strip())
    if place < 0 or final.strip() not in text or _MARK.strip() in text[:place]:
        raise TemplateError("the template does not write the last message as it is, so that it can't be continued")
    whole = text[place:].startswith(_MARK)
    return text[:place] if whole else text[:place].rstrip()


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _raise,
        "strftime_now": _strftime_now,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    return environment


class _Generation(Extension):
    """`{% generation %}` around what the assistant wrote: for training. Its text is the block's, and names in it stay in it."""

    tags = {"generation"}  # noqa: RUF012 - so jinja2 has it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_write"), [], [], body).set_lineno(line)

    def _write(self, caller: Macro) -> str:
        return caller()


class _Dict:
    """What templates may do with `dict`, without the attributes of the type."""

    def __call__(self, *values: Any, **named: Any) -> dict[Any, Any]:
        return dict(*values, **named)

    def fromkeys(self, *values: Any) -> dict[Any, Any]:
        return dict.fromkeys(*values)


class _Namespace(Namespace):
    """Jinja's, without names that begin with an underscore: they might be Python's own."""

    def __init__(*values: Any, **named: Any) -> None:
        self, values = values[0], values[1:]
        attributes = dict(*values, **named)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"the name {name!r} of a namespace begins with an underscore")


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Write JSON without the escapes for HTML that jinja2's own filter makes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: Any) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)
