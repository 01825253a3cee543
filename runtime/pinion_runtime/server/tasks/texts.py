"""The texts or token ids of a request, in the forms that every route takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from ..errors import invalid
from .bodies import WrongType, decode_as

MAX_INPUTS = 2048
MAX_IDS = 1 << 20  # in one body, whatever is cut of them later: more hold everything else up while they are decoded

Texts = tuple[str, ...]
TokenLists = tuple[tuple[int, ...], ...]

_FORMS = "a string, a list of strings, a list of token ids, or a list of such lists"
_TOKEN_ID = "a token id, an integer that is not negative"
_HEAD = re.compile(rb"(\[?)[ \t\r\n]*(.)", re.DOTALL)
_TokenId = Annotated[int, msgspec.Meta(ge=0)]


@dataclass
class Inputs:
    """The texts of a request; exactly one of `texts` and `tokens` is not empty, until they are dropped."""

    field: str  # the name that messages use
    texts: Texts
    tokens: TokenLists
    is_list: bool  # of inputs, so that messages can name the index

    def where(self, index: int) -> str:
        """Return the name of one input."""
        return f"{self.field}[{index}]" if self.is_list else self.field

    def drop(self) -> None:
        """Let the texts go: a request that waits needs them no longer, and they may be megabytes."""
        self.texts, self.tokens = (), ()


def parse_inputs(raw: msgspec.Raw, field: str) -> Inputs:
    """Read a text, a list of texts, a list of token ids, or a list of such lists; the first element tells which."""
    head = _HEAD.match(memoryview(raw))
    opening, first = head.groups() if head else (b"", b"")
    if not opening:
        if first != b'"':
            raise invalid(f"'{field}' must be {_FORMS}.", param=field)
        return Inputs(field, (decode_as(raw, str),), (), is_list=False)
    if first == b"]":
        raise invalid(f"'{field}' is an empty list.", param=field)
    if first == b'"':
        return Inputs(field, _decode_texts(raw, field), (), is_list=True)
    if first == b"[":
        return Inputs(field, (), _decode_token_lists(raw, field), is_list=True)
    if first in b"-0123456789":
        _check_ids(raw, field)
        return Inputs(
            field, (), (_decode(raw, tuple[_TokenId, ...], field, "a token id, an integer that is not negative"),), False
        )
    raise invalid(f"'{field}[0]' must be a string, a token id, or a list of token ids.", param=f"{field}[0]")


def check_count(entries: Sequence[Any], field: str) -> None:
    """Raise the 400 for more inputs than are taken at once."""
    if len(entries) > MAX_INPUTS:
        raise invalid(f"'{field}' has {len(entries)} entries; at most {MAX_INPUTS} are taken at once.", param=field)


def _decode_texts(raw: msgspec.Raw, field: str) -> Texts:
    data = bytes(raw)
    if data.count(b'"') > 2 * MAX_INPUTS:  # before millions of strings are made; those in texts have a backslash before them
        strings = data.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"') // 2
        if strings > MAX_INPUTS:
            raise invalid(f"'{field}' has {strings} entries; at most {MAX_INPUTS} are taken at once.", param=field)
    texts: Texts = _decode(raw, Texts, field, "a string, as the entries before it")
    check_count(texts, field)
    return texts


def _decode_token_lists(raw: msgspec.Raw, field: str) -> TokenLists:
    if bytes(raw).count(b"[") > MAX_INPUTS + 1:  # before millions of lists are made
        raise invalid(f"'{field}' has more than {MAX_INPUTS} lists; at most {MAX_INPUTS} are taken at once.", param=field)
    _check_ids(raw, field)
    lists: TokenLists = _decode(raw, tuple[tuple[_TokenId, ...], ...], field, "")
    for index, ids in enumerate(lists):
        if not ids:
            raise invalid(f"'{field}[{index}]' is an empty list of token ids.", param=f"{field}[{index}]")
    return lists


def _check_ids(raw: msgspec.Raw, field: str) -> None:
    """Raise the 400 for more token ids than are read from one body; what is no list of ids is told later."""
    data = bytes(raw)
    end = min((place for sign in (b'"', b"{") if (place := data.find(sign)) >= 0), default=len(data))
    if data.count(b",", 0, end) >= MAX_IDS:
        raise invalid(f"'{field}' has more than {MAX_IDS} token ids; send fewer inputs per request.", param=field)


def _decode(raw: msgspec.Raw, type_: Any, field: str, what: str) -> Any:
    """Decode a list; `what` its entries must be, "" where they are lists of token ids themselves."""
    try:
        return decode_as(raw, type_)
    except WrongType as error:
        if not what:
            inner = error.place.count("[") > 1
            what = _TOKEN_ID if inner else "a list of token ids, as the entries before it"
        raise invalid(f"'{field}{error.place}' must be {what}.", param=field + error.place) from None
