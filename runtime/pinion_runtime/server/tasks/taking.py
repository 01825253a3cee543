"""What a table of fields says of one field of a body: it is taken, agrees, or is refused by its name."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from ..errors import ApiError, Code, invalid
from .fields import Effect, Field


def take(field: Field, table: Mapping[str, Field], value: Any, found: dict[str, Any], place: str) -> str | None:
    """Put an honoured field into `found` by its one name, and return that name; None for what need not be looked at.

    Raises the 400 for a field that is refused, that does not agree, whose value is wrong, or that is there with another
    value. `place` is the name that messages use.
    """
    match field.effect:
        case Effect.REFUSED:
            raise unsupported(f"'{place}' is not taken: {field.text}.", place)
        case Effect.AGREES if not any(same(value, each) for each in field.agrees):
            known = " or ".join(repr(each) if isinstance(each, str) else as_json(each) for each in field.agrees)
            raise unsupported(f"'{place}' must be {known}: {field.text}.", place)
        case Effect.HONOURED | Effect.ALIAS:
            name = field.same_as or field.name
            if not table[name].valid(value):
                raise invalid(f"'{place}' must be {table[name].takes}.", param=place)
            if not same(found.setdefault(name, value), value):
                raise invalid(f"'{name}' is given twice, with two values.", param=place)
            return name
    return None


def unknown(name: str, place: str, accepted: Iterable[str], known: Iterable[str]) -> ApiError:
    """Return the 400 for a name in no table; `accepted` are listed, and one of `known` is proposed where it is near."""
    near = difflib.get_close_matches(name[:40], list(known), 1, 0.8)
    hint = f" Is it {near[0]!r}?" if near else ""
    return unsupported(f"Unsupported parameter {place!r}.{hint} Accepted: {', '.join(accepted)}.", place)


def unsupported(message: str, place: str) -> ApiError:
    """Return the 400 for a field that is not taken here, or not with this value."""
    return invalid(message, param=place, code=Code.UNSUPPORTED_PARAMETER)


def refuse_in_query(query: bytes, counts: Callable[[str], bool]) -> None:
    """Raise the 400 for a field that counts and stands in the query string: it would be lost there."""
    for part in query.decode("latin-1").split("&"):
        name = unquote_plus(part.partition("=")[0])
        if counts(name):
            raise unsupported(f"{name!r} in the query string is not read: put it into the body.", name)


def same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def as_json(value: Any) -> str:
    """Write a value for a message."""
    return msgspec.json.encode(value).decode()
