"""A body as its fields, none of them decoded before it is known what it must be: a decoder holds everything else up."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from ..errors import ApiError, Code, invalid, shorten

RawFields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

_LARGE_BODY = 1 << 20  # from here on few names that are not known are read: there may be a million of them
MOST_UNKNOWN = 8  # names that are not known, and may be null: those of a client that is newer than we are
_NO_NAME = re.compile(r'["\\\x00-\x1f]')  # in the name of no field; msgspec does not take them in one
_MAX_VALUE_BYTES = 128 << 10  # of a field beside the texts; the longest prompt, each character escaped as a pair, has 96 KiB
_ABSENT = msgspec.Raw()
_UNKNOWN = re.compile(r"unknown field `(.*)`", re.DOTALL)
_PLACE = re.compile(r" - at `\$([^`]*)`$")


class WrongType(Exception):
    """A value of another type than what is asked for; `place` is where in it, as `[1][2]` or `.name`."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


def decode_object(body: bytes, known: Collection[str]) -> RawFields:
    """Return the fields of a body that must be a JSON object; raise the 400. `known` are all names that mean something.

    Of others there may be a few, which are for the caller to refuse where they are not null.
    """
    known = frozenset(known)
    try:
        if len(body) > _LARGE_BODY:
            return _decode_few(body, known)
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise invalid("The body must be a JSON object.", code=Code.INVALID_JSON) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid_json(error, body) from None
    _check_unknown([name for name in fields if name not in known])
    return fields


def decode_value(raw: msgspec.Raw, name: str, most_bytes: int = _MAX_VALUE_BYTES) -> Any:
    """Return a small value; raise the 400 for a large one."""
    if len(memoryview(raw)) > most_bytes:
        raise invalid(f"'{name}' is too large: more than {most_bytes} bytes.", param=name)
    try:
        return decode_as(raw, Any)
    except WrongType as error:  # a number too large for a float: the decoder takes it for another type
        raise invalid(f"'{name}{error.place}': {error}.", param=name) from None


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


def _check_unknown(names: Sequence[str]) -> None:
    """Raise the 400 for more names that are not known than may be null, and for what can't be one."""
    refused = next((name for name in names if _NO_NAME.search(name)), None)
    if refused is None and len(names) > MOST_UNKNOWN:
        refused = names[MOST_UNKNOWN]
    if refused is not None:
        name = shorten(refused)
        raise invalid(f"Unsupported parameter {name!r}.", param=name, code=Code.UNSUPPORTED_PARAMETER)


def _decode_few(body: bytes, known: frozenset[str]) -> RawFields:
    """Decode with what is known, and again with each other name that is met, up to so many."""
    others: list[str] = []
    struct = _struct(known)
    while True:
        try:
            found = msgspec.json.decode(body, type=struct)
            break
        except msgspec.ValidationError as error:
            if (unknown := _UNKNOWN.search(str(error))) is None:
                raise
            others.append(unknown[1])
            _check_unknown(others)
            struct = _struct_with(known, others)
    values = {name: getattr(found, attribute) for name, attribute in _attributes(known, others).items()}
    return {name: value for name, value in values.items() if value != _ABSENT}


@cache
def _struct(known: frozenset[str]) -> type[msgspec.Struct]:
    return _struct_with(known, ())


def _struct_with(known: frozenset[str], others: Sequence[str]) -> type[msgspec.Struct]:
    attributes = _attributes(known, others)
    fields = [(attribute, msgspec.Raw, _ABSENT) for attribute in attributes.values()]
    names = {attribute: name for name, attribute in attributes.items()}
    return msgspec.defstruct("Known", fields, forbid_unknown_fields=True, rename=names)


def _attributes(known: frozenset[str], others: Sequence[str]) -> dict[str, str]:
    """Return the attribute for each name; a caller's own may be none that Python takes."""
    return {name: name for name in sorted(known)} | {name: f"other_{number}" for number, name in enumerate(others)}


def _invalid_json(error: Exception, text: bytes) -> ApiError:
    # A string that ends in a lone surrogate is reported as truncated by the decoder; say what is likelier.
    hint = " A string may hold a lone surrogate, which is no text." if b"\\ud" in text.lower() else ""
    message = "too deeply nested" if isinstance(error, RecursionError) else shorten(str(error), 160)
    return invalid(f"The body is not valid JSON: {message}.{hint}", code=Code.INVALID_JSON)
