"""Prompts of chats to token ids: control tokens are those that the template writes, not those that somebody types."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidInput

# Around a control token in a caller's text: noncharacters, which Unicode keeps for the inside of programs.
_START, _END = "\ufdd0", "\ufdd1"
_MARKS = str.maketrans("", "", _START + _END)
_BEFORE = "\n"  # before a piece that does not begin the text, so that no space is put at its front


class ChatEncoder:
    """A model's tokenizer and the tokens that its templates control it with: special ones, and added ones that they name.

    The order is: `mark` the messages and whatever else a caller says, render them, `encode` the prompt. To be made before
    others use the tokenizer. Without `sanitise`, what is typed counts as if the template had written it.
    """

    def __init__(self, rust: Any, templates: Mapping[str, str], sanitise: bool = True) -> None:
        self._rust = rust
        self._sanitise = sanitise
        sources = "\0".join(templates.values())
        self._control = {
            token.content: number
            for number, token in rust.get_added_tokens_decoder().items()
            if token.special or (token.content in sources and not token.content.isspace())
        }
        pattern = _any_of(self._control)
        self._typed = re.compile(pattern)
        # The second forms are JSON's: of a template that writes a text with escapes for all that is not ASCII.
        self._marked = re.compile(f"(?:{_START}|\\\\ufdd0)({pattern})(?:{_END}|\\\\ufdd1)|[{_START}{_END}]")
        self._newline: list[int] = self._ids(_BEFORE)
        self._as_text = self._encode_as_text() if sanitise else {}

    def mark(self, value: Any) -> Any:
        """Return messages, tools or variables in which control tokens are marked; keys of objects are left as they are."""
        if not self._sanitise:
            return value
        if isinstance(value, str):
            return self._typed.sub(f"{_START}\\g<0>{_END}", value.translate(_MARKS))
        if isinstance(value, dict):
            return {key: self.mark(one) for key, one in value.items()}
        return [self.mark(one) for one in value] if isinstance(value, list | tuple) else value

    def encode(self, text: str) -> list[int]:
        """Return the ids of a prompt made of marked messages, as for a text of its own where nothing is marked.

        The tokenizer adds nothing: what begins a prompt, the template writes. Raises InvalidInput for a typed control token
        that the tokenizer can't write as text.
        """
        if not self._sanitise:
            return self._ids(text)
        first, *pieces = self._marked.split(text)
        ids = self._ids(first)
        for number, piece in enumerate(pieces):
            if not piece:
                continue
            if number % 2:
                ids += self._ids_within(piece)
            elif (found := self._as_text[piece]) is not None:
                ids += found
            else:
                raise InvalidInput(f"the messages hold {piece!r}, which controls the model and can't be written as text")
        return ids

    def _ids(self, text: str) -> list[int]:
        # Of one text, for the batch is encoded without the interpreter's lock.
        ids: list[int] = self._rust.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    def _ids_within(self, piece: str) -> list[int]:
        """Return the ids of a piece from the middle of a text."""
        ids = self._ids(_BEFORE + piece)
        size = len(self._newline)
        return ids[size:] if ids[:size] == self._newline else self._ids(piece)

    def _encode_as_text(self) -> dict[str, list[int] | None]:
        """Return what each control token is as text: as the tokenizer has it, else in two parts; None where that fails too."""
        self._rust.encode_special_tokens = True
        try:
            found: dict[str, list[int] | None] = {token: self._ids_within(token) for token in self._control}
        finally:
            self._rust.encode_special_tokens = False
        numbers = set(self._control.values())
        for token, ids in found.items():
            if ids is not None and not numbers.isdisjoint(ids):
                cuts = (self._ids_within(token[:cut]) + self._ids_within(token[cut:]) for cut in range(1, len(token)))
                found[token] = next((parts for parts in cuts if numbers.isdisjoint(parts)), None)
        return found


def _any_of(texts: Mapping[str, Any]) -> str:
    """Return a pattern for the longest of these texts: letter by letter, for thousands of them would be tried one by one."""
    root: dict[str, Any] = {}
    for text in texts:
        node = root
        for letter in text:
            node = node.setdefault(letter, {})
        node[""] = {}
    return "".join(_pattern(root)) if root else "(?!)"


def _pattern(node: dict[str, Any]) -> Iterator[str]:
    letters = [letter for letter in node if letter]
    if not letters:
        return
    grouped = len(letters) > 1 or "" in node
    yield "(?:" if grouped else ""
    for place, letter in enumerate(letters):
        yield "|" if place else ""
        yield re.escape(letter)
        yield from _pattern(node[letter])
    yield (")?" if "" in node else ")") if grouped else ""
