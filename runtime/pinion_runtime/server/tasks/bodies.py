"""A body as its fields, none of them decoded before it is known what it must be: a decoder holds everything else up."""

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from ..errors import ApiError, Code, invalid, shorten

RawFields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

_LARGE_BODY = 1 << 20  # from here on a name that is not known is refused unread: there may be a million of them
_MAX_VALUE_BYTES = 128 << 10  # of a field beside the texts; the longest prompt, each character escaped as a pair, has 96 KiB
_ABSENT = msgspec.Raw()
_PLACE = re.compile(r" - at `\$([^`]*)`$")


class WrongType(Exception):
    """A value of another type than what is asked for; `place` is where in it, as `[1][2]` or `.name`."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


def decode_object(body: bytes, known: Collection[str]) -> RawFields:
    """Return the fields of a body that must be a JSON object; raise the 400. `known` are all names that mean something."""
    try:
        if len(body) > _LARGE_BODY:
            return _decode_known(body, frozenset(known))
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        if unknown := re.search(r"unknown field `(.*)`", str(error), re.DOTALL):
            name = shorten(unknown[1])
            raise invalid(f"Unsupported parameter {name!r}.", param=name, code=Code.UNSUPPORTED_PARAMETER) from None
        raise invalid("The body must be a JSON object.", code=Code.INVALID_JSON) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid_json(error, body) from None


def decode_value(raw: msgspec.Raw, name: str) -> Any:
    """Return a small value; raise the 400 for a large one."""
    if len(memoryview(raw)) > _MAX_VALUE_BYTES:
        raise invalid(f"'{name}' is too large: more than {_MAX_VALUE_BYTES} bytes.", param=name)
    return decode_as(raw, Any)


def decode_as(raw: msgspec.Raw, type_: type[T] | Any) -> T:
    """Return a value that must be of this type; raise WrongType, or the 400 for what is no JSON."""
    try:
        value: T = msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        raise WrongType(_PLACE.sub("", str(error)), place[1] if place else "") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid_json(error, bytes(raw)) from None
    return value


def is_null(raw: msgspec.Raw | None) -> bool:
    """Tell whether a field is absent."""
    return raw is None or raw == msgspec.Raw(b"null")


def _decode_known(body: bytes, known: frozenset[str]) -> RawFields:
    found = msgspec.json.decode(body, type=_struct(known))
    values = {name: getattr(found, name) for name in found.__struct_fields__}
    return {name: value for name, value in values.items() if value != _ABSENT}


@cache
def _struct(known: frozenset[str]) -> type[msgspec.Struct]:
    fields = [(name, msgspec.Raw, _ABSENT) for name in sorted(known)]
    return msgspec.defstruct("Known", fields, forbid_unknown_fields=True)


def _invalid_json(error: Exception, text: bytes) -> ApiError:
    # A string that ends in a lone surrogate is reported as truncated by the decoder; say what is likelier.
    hint = " A string may hold a lone surrogate, which is no text." if b"\\ud" in text.lower() else ""
    message = "too deeply nested" if isinstance(error, RecursionError) else shorten(str(error), 160)
    return invalid(f"The body is not valid JSON: {message}.{hint}", code=Code.INVALID_JSON)
