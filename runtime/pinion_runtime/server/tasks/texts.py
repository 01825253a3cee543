"""What every route about texts reads in the same way: the JSON object, its texts or token ids, and how to treat them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ..errors import Code, invalid, shorten

MAX_INPUTS = 2048
MAX_PROMPT_CHARACTERS = 8192  # it goes before each text of a request

Side = Literal["left", "right"]
Texts = tuple[str, ...]
TokenLists = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Inputs:
    """The texts of a request; exactly one of `texts` and `tokens` is not empty."""

    field: str  # the name that messages use
    texts: Texts
    tokens: TokenLists
    is_list: bool  # of inputs, so that messages can name the index

    def where(self, index: int) -> str:
        """Return the name of one input."""
        return f"{self.field}[{index}]" if self.is_list else self.field


@dataclass(frozen=True)
class Options:
    """How the texts of a request are treated; None is what the model does by itself."""

    truncate: bool = False
    cut: Side | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    dimensions: int | None = None
    normalize: bool | None = None


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a body that must be a JSON object; raise the 400."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # A string that ends in a lone surrogate is reported as truncated by the decoder; say what is likelier.
        hint = " A string may hold a lone surrogate, which is no text." if b"\\ud" in body.lower() else ""
        message = "too deeply nested" if isinstance(error, RecursionError) else shorten(str(error), 160)
        raise invalid(f"The body is not valid JSON: {message}.{hint}", code=Code.INVALID_JSON) from None
    if not isinstance(fields, dict):
        raise invalid("The body must be a JSON object.", code=Code.INVALID_JSON)
    return fields


def refuse_unknown(fields: Mapping[str, Any], accepted: Collection[str], ignored: Collection[str] = ()) -> None:
    """Raise the 400 for a field that means nothing here."""
    for name in fields:
        if name not in accepted and name not in ignored:
            known = f"Accepted: {', '.join(accepted)}" + (f"; accepted and ignored: {', '.join(ignored)}." if ignored else ".")
            message = f"Unsupported parameter {shorten(name)!r}. {known}"
            raise invalid(message, param=shorten(name), code=Code.UNSUPPORTED_PARAMETER)


def parse_inputs(value: Any, field: str) -> Inputs:
    """Read a text, a list of texts, a list of token ids, or a list of such lists."""
    if isinstance(value, str):
        return Inputs(field, (_text(value, field),), (), is_list=False)
    if not isinstance(value, list):
        message = f"'{field}' must be a string, a list of strings, a list of token ids, or a list of such lists."
        raise invalid(message, param=field)
    if not value:
        raise invalid(f"'{field}' is an empty list.", param=field)
    first = value[0]
    if is_integer(first):
        return Inputs(field, (), (_token_list(value, field),), is_list=False)
    if isinstance(first, list):
        _check_count(value, field)
        return Inputs(
            field, (), tuple(_token_list(entry, f"{field}[{index}]") for index, entry in enumerate(value)), is_list=True
        )
    if not isinstance(first, str):
        raise invalid(f"'{field}[0]' must be a string, a token id, or a list of token ids.", param=f"{field}[0]")
    return Inputs(field, parse_texts(value, field), (), is_list=True)


def parse_texts(value: Any, field: str) -> Texts:
    """Read a list of texts."""
    if not isinstance(value, list) or not value:
        raise invalid(f"'{field}' must be a list of strings that is not empty.", param=field)
    _check_count(value, field)
    return tuple(_text(entry, f"{field}[{index}]") for index, entry in enumerate(value))


def parse_prompt(fields: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Read `prompt` and `prompt_name`, of which one at most is given."""
    prompt, name = fields.get("prompt"), fields.get("prompt_name")
    if prompt is not None and name is not None:
        raise invalid("Give 'prompt' or 'prompt_name', not both.", param="prompt_name")
    if prompt is not None and (not isinstance(prompt, str) or len(prompt) > MAX_PROMPT_CHARACTERS):
        raise invalid(f"'prompt' must be a string of at most {MAX_PROMPT_CHARACTERS} characters.", param="prompt")
    if name is not None and not isinstance(name, str):
        raise invalid("'prompt_name' must be a string.", param="prompt_name")
    return prompt, name


def parse_flag(fields: Mapping[str, Any], field: str) -> bool | None:
    """Read an optional truth value."""
    value = fields.get(field)
    if value is None or isinstance(value, bool):
        return value
    raise invalid(f"'{field}' must be true or false.", param=field)


def parse_dimensions(value: Any) -> int | None:
    """Read `dimensions`."""
    if value is None:
        return None
    if not is_integer(value) or value < 1:
        raise invalid("'dimensions' must be a positive integer.", param="dimensions")
    return int(value)


def is_integer(value: Any) -> bool:
    """Tell whether a JSON value is an integer; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _check_count(value: list[Any], field: str) -> None:
    if len(value) > MAX_INPUTS:
        raise invalid(f"'{field}' has {len(value)} entries; at most {MAX_INPUTS} are taken at once.", param=field)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"'{where}' must be a string, as the entries before it.", param=where)
    if not value:
        raise invalid(f"'{where}' is an empty string.", param=where)
    return value


def _token_list(value: Any, where: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise invalid(f"'{where}' must be a list of token ids, as the entries before it.", param=where)
    if not value:
        raise invalid(f"'{where}' is an empty list of token ids.", param=where)
    for index, token in enumerate(value):
        place = f"{where}[{index}]"
        if not is_integer(token):
            raise invalid(f"'{place}' must be a token id, an integer.", param=place)
        if token < 0:
            raise invalid(f"'{place}' is {shorten(str(token))}; a token id is not negative.", param=place)
    return tuple(value)
