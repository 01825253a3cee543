"""From a body to the fields that count: what is null or ignored is left out, what is not taken is refused by its name."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import ApiError, invalid, shorten
from .bodies import RawFields, decode_object, decode_value, is_null
from .fields import BY_NAME, HONOURED, OPTIONS, PARAMETERS, Effect
from .taking import refuse_in_query, take, unknown, unsupported

_INPUTS = ("input", "inputs", "text", "texts", "sentences", "source_sentence", "documents", "content")
_OWN = frozenset((*_INPUTS, "model", PARAMETERS))


def decode_fields(body: bytes, own: Sequence[str]) -> tuple[RawFields, dict[str, Any]]:
    """Return the fields that the route reads itself, and those that are honoured, by their one name; raise the 400.

    `own` are the names of the former, the texts' first. A field that is null is absent in both.
    """
    own_fields: dict[str, msgspec.Raw] = {}
    honoured: dict[str, Any] = {}
    for name, raw in decode_object(body, (*own, PARAMETERS, OPTIONS, *BY_NAME)).items():
        if is_null(raw):
            continue
        field = BY_NAME.get(name)
        if name in own:
            own_fields[name] = raw
        elif name == PARAMETERS:
            for inner, value in _object(decode_value(raw, name), name).items():
                if value is not None:
                    _take(inner, value, honoured, f"{PARAMETERS}.{shorten(inner)}", own)
        elif name == OPTIONS:
            _check_options(decode_value(raw, name))
        elif field is None:
            raise _unknown(name, shorten(name), own)
        elif field.effect is not Effect.IGNORED:
            _take(name, decode_value(raw, name), honoured, name, own)
    return own_fields, honoured


def check_query(query: bytes) -> None:
    """Raise the 400 for a field in the query string: it would be lost there. What else stands in it means nothing."""

    def counts(name: str) -> bool:
        field = BY_NAME.get(name)
        return name in _OWN or (field is not None and field.effect is not Effect.IGNORED)

    refuse_in_query(query, counts)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"'{name}' must be an object.", param=name)
    return value


def _take(name: str, value: Any, found: dict[str, Any], place: str, own: Sequence[str]) -> None:
    field = BY_NAME.get(name)
    if field is None:
        raise _unknown(name, place, own)
    take(field, BY_NAME, value, found, place)


def _check_options(options: Any) -> None:
    """Raise the 400 for an option that is a field of ours and would be lost here; the rest is of the hub's own service."""
    for name, value in options.items() if isinstance(options, dict) else ():
        field = BY_NAME.get(name)
        if value is not None and field is not None and field.effect is not Effect.IGNORED:
            raise unsupported(f"'{OPTIONS}' is ignored: put '{name}' beside the texts.", f"{OPTIONS}.{name}")


def _unknown(name: str, place: str, own: Sequence[str]) -> ApiError:
    if name in _INPUTS:
        return unsupported(f"'{place}' is not taken: the texts go into '{own[0]}' here.", place)
    names = (*own, *HONOURED)
    return unknown(name, place, (*names, PARAMETERS), (*names, *BY_NAME))
